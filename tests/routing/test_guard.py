"""The Guard: which failures open what, what cancellation leaves, the panic rule, what is told."""

import random

import anyio
import pytest

from providers.errors import (
    AuthenticationFailed,
    BadRequest,
    ConnectFailed,
    ContentRefused,
    ContextTooLong,
    Malformed,
    ModelNotFound,
    QuotaExhausted,
    RateLimited,
    TimedOut,
    Truncated,
    Unavailable,
)
from routing.breaker import BreakerSettings
from routing.cooldowns import Notice
from routing.events import BreakerChanged, CooledDown
from routing.guard import Guards, Rules
from routing.ports import CircuitOpen

pytestmark = pytest.mark.anyio


class Told:
    """A watcher and observer that remembers."""

    def __init__(self) -> None:
        self.events, self.on_the_way, self.endings = [], 0, []

    def started(self, deployment):
        self.on_the_way += 1

    def ended(self, deployment, ending):
        self.on_the_way -= 1
        self.endings.append(ending)


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def guards(clock, told):
    rules = Rules(BreakerSettings(jitter=0.0))
    return Guards(rules, watchers=[told], observe=told.events.append, clock=clock, rng=random.Random(0))


async def call(guards, deployment, error=None, **how):
    async with guards.admit(deployment, **how) as permit:
        if error is None:
            permit.succeeded(1.0, 0.2, 10)
        else:
            permit.failed(error)


async def fail(guards, deployment, times=5):
    for _ in range(times):
        await call(guards, deployment, Unavailable("x"))


@pytest.mark.parametrize("kind", [ConnectFailed, TimedOut, Unavailable, Malformed, Truncated])
async def test_five_faults_of_the_provider_open_its_endpoint_for_all_models(guards, deployment, told, kind):
    for _ in range(5):
        await call(guards, deployment(), kind("x"))
    with pytest.raises(CircuitOpen) as caught:
        await call(guards, deployment(model="other"))
    assert caught.value.wait_s == pytest.approx(5)
    assert told.events == [BreakerChanged("alpha", "alpha", "open", "5 failures in a row", 5.0)]


@pytest.mark.parametrize("kind", [BadRequest, ContextTooLong, ContentRefused])
async def test_the_callers_own_faults_open_and_hold_nothing(guards, deployment, kind):
    for _ in range(30):
        await call(guards, deployment(), kind("x"))
    assert guards.blocked(deployment()) is None


@pytest.mark.parametrize(
    ("error", "scope"),
    [
        (RateLimited("x", after=9), "endpoint"),
        (QuotaExhausted("x"), "endpoint"),
        (AuthenticationFailed("x"), "endpoint"),
        (ModelNotFound("x"), "model"),
        (RateLimited("x", after=9, model_only=True), "model"),
    ],
)
async def test_limits_and_keys_cool_their_endpoint_or_model_without_a_vote(guards, deployment, told, error, scope):
    await call(guards, deployment(), error)
    assert guards.blocked(deployment())[1] > 5
    assert guards.standing(deployment()) == "limited"
    assert (guards.blocked(deployment(model="other")) is None) == (scope == "model")
    (event,) = told.events
    assert isinstance(event, CooledDown) and event.model == ("m1" if scope == "model" else "")


async def test_a_fault_of_one_model_alone_marks_only_its_deployment(guards, deployment, told):
    for _ in range(5):
        await call(guards, deployment(), Unavailable("x", model_only=True))
    with pytest.raises(CircuitOpen):
        await call(guards, deployment())
    await call(guards, deployment(model="other"))
    (event,) = told.events
    assert (event.endpoint, event.model, event.state) == ("alpha", "m1", "open")


async def test_a_marked_model_comes_back_through_probes_of_its_own(guards, deployment, clock):
    for _ in range(5):
        await call(guards, deployment(), TimedOut("x", model_only=True))
    clock.now += 5
    await call(guards, deployment())
    await call(guards, deployment())
    assert [barrier.state for barrier in guards.show()] == ["closed", "closed"]


async def test_an_exception_or_cancellation_by_itself_votes_nothing_and_frees_the_probe(
    guards, deployment, clock, told
):
    await fail(guards, deployment())
    clock.now += 5
    with pytest.raises(ValueError, match="ours"):
        async with guards.admit(deployment()):
            raise ValueError("ours")
    with anyio.CancelScope() as scope:
        async with guards.admit(deployment()):
            with pytest.raises(CircuitOpen):
                await call(guards, deployment())
            scope.cancel()
            await anyio.sleep(0)
    assert [ending.good for ending in told.endings[-2:]] == [None, None]
    assert told.on_the_way == 0
    await call(guards, deployment())


async def test_only_the_first_report_counts(guards, deployment, told):
    async with guards.admit(deployment()) as permit:
        permit.succeeded(1.0, None, 1)
        for _ in range(9):
            permit.failed(Unavailable("x"))
    assert guards.blocked(deployment()) is None and len(told.endings) == 1
    assert guards.standing(deployment()) is None


async def test_being_asked_whether_it_is_blocked_changes_nothing(guards, deployment, clock):
    await fail(guards, deployment())
    clock.now += 5
    for _ in range(10):
        assert guards.blocked(deployment()) is None
    assert guards.show()[0].state == "open"


async def test_one_forced_call_in_five_seconds_passes_an_open_breaker(guards, deployment, clock):
    await fail(guards, deployment())
    await call(guards, deployment(), Unavailable("x"), force=True)
    with pytest.raises(CircuitOpen) as caught:
        await call(guards, deployment(), force=True)
    assert 0 < caught.value.wait_s <= 5
    clock.now += 5
    await call(guards, deployment(), force=True)


async def test_force_passes_neither_a_stated_wait_nor_a_dead_key(guards, deployment):
    await call(guards, deployment(), RateLimited("x", after=30))
    await call(guards, deployment("beta"), AuthenticationFailed("x"))
    for name in ("alpha", "beta"):
        with pytest.raises(CircuitOpen):
            await call(guards, deployment(name), force=True)


async def test_what_nothing_blocks_needs_no_force(guards, deployment):
    for _ in range(20):
        await call(guards, deployment(), force=True)


@pytest.mark.parametrize(("name", "freed"), [("", 2), ("alpha", 1), ("alpha/m1", 1), ("beta", 1), ("gamma", 0)])
async def test_reset_takes_a_provider_a_deployment_or_all(guards, deployment, name, freed):
    await fail(guards, deployment())
    await call(guards, deployment("beta"), ModelNotFound("x"))
    guards.reset(name)
    still = [n for n in ("alpha", "beta") if guards.blocked(deployment(n)) is not None]
    assert 2 - len(still) == freed


async def test_what_stands_in_the_way_is_shown_in_words(guards, deployment):
    await fail(guards, deployment())
    await call(guards, deployment("beta"), ModelNotFound("x"))
    rows = {(b.provider, b.model): (b.state, b.reason, b.for_s) for b in guards.show()}
    assert rows["alpha", ""] == ("open", "5 failures in a row", 5.0)
    assert rows["beta", "m1"] == ("open", "model not found", 600.0)


async def test_of_a_hundred_concurrent_calls_one_probes(guards, deployment, clock):
    await fail(guards, deployment())
    clock.now += 5
    entered = refused = 0
    everybody_asked = anyio.Event()

    async def one():
        nonlocal entered, refused
        try:
            async with guards.admit(deployment()):
                entered += 1
                await everybody_asked.wait()
        except CircuitOpen:
            refused += 1
        if entered + refused == 100:
            everybody_asked.set()

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(one)
    assert (entered, refused) == (1, 99)


async def test_when_an_empty_accounts_time_is_up_one_call_looks_at_a_time(guards, deployment, clock):
    await call(guards, deployment(), QuotaExhausted("x"))
    clock.now += 900
    async with guards.admit(deployment()):
        with pytest.raises(CircuitOpen, match="somebody is looking"):
            await call(guards, deployment())
    async with guards.admit(deployment()) as second:
        second.succeeded(1.0, None, 1)
        await call(guards, deployment())


@pytest.mark.parametrize(
    ("error", "times", "seconds"),
    [(Unavailable("x"), 5, 5), (Unavailable("x", model_only=True), 5, 5), (QuotaExhausted("x"), 1, 900)],
    ids=["endpoint", "model", "account"],
)
async def test_who_may_not_probe_is_let_in_again_once_a_probe_went_well(
    guards, deployment, clock, error, times, seconds
):
    await call(guards, deployment(), probe=False)
    for _ in range(times):
        await call(guards, deployment(), error)
    clock.now += seconds
    assert guards.blocked(deployment()) is None
    assert guards.blocked(deployment(), probe=False) is not None
    with pytest.raises(CircuitOpen, match="no probe"):
        await call(guards, deployment(), probe=False)
    for _ in range(guards.rules.breaker.successes):
        await call(guards, deployment())
    assert guards.blocked(deployment(), probe=False) is None
    await call(guards, deployment(), probe=False)


async def test_the_model_that_failed_alone_opens_longer_when_its_probe_fails(guards, deployment, told, clock):
    for _ in range(5):
        await call(guards, deployment(), Unavailable("x", model_only=True))
    clock.now += 5
    await call(guards, deployment(), Unavailable("x", model_only=True))
    assert (told.events[-1].state, told.events[-1].for_s) == ("open", 10)
    assert guards.blocked(deployment(model="other")) is None


async def test_nothing_is_reported_twice_nor_after_the_block(guards, deployment, told):
    async with guards.admit(deployment()) as permit:
        pass
    permit.failed(Unavailable("x"))
    permit.succeeded(1.0, None, 1)
    assert [ending.good for ending in told.endings] == [None]


class Slow:
    """Leases of a store that answers when told to."""

    def __init__(self) -> None:
        self.answer, self.given = anyio.Event(), []

    async def take(self, name, limit, lease_s):
        await self.answer.wait()
        return "lease"

    async def give(self, name, lease):
        self.given.append(lease)


async def test_cancelled_while_asking_for_a_lease_the_probes_place_is_free_again(clock, told, deployment):
    slow = Slow()
    guards = Guards(Rules(BreakerSettings(jitter=0.0)), watchers=[told], leases=slow, clock=clock)
    await fail(guards, deployment())
    clock.now += 5
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call, guards, deployment())
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
    assert told.on_the_way == 0
    slow.answer.set()
    await call(guards, deployment())
    assert slow.given == ["lease"]


async def test_what_another_replica_holds_and_nobody_here_met_is_not_shown(guards):
    guards.cooldowns.hear([Notice("elsewhere", "rate limited", 9.0)])
    assert guards.show() == ()


async def test_guards_are_at_rest_until_a_breaker_moves_and_again_once_it_has_closed(guards, deployment, clock):
    assert guards.at_rest
    await fail(guards, deployment())
    assert not guards.at_rest
    clock.now += 5.0
    for _ in range(2):
        assert not guards.at_rest
        await call(guards, deployment())
    assert guards.at_rest


async def test_guards_are_not_at_rest_while_something_cools(guards, deployment):
    await call(guards, deployment(), RateLimited("x", after=30.0))
    assert not guards.at_rest
    guards.reset()
    assert guards.at_rest
