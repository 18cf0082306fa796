"""Health: what calls and checks say of a provider, and what they may not do."""

import random

import anyio
import pytest
from virtual_time import BACKEND, virtual_now

from providers.errors import AuthenticationFailed, BadRequest, RateLimited, Unavailable
from routing.breaker import BreakerSettings
from routing.guard import Guards, Rules
from routing.health import Check, Checkup, Health, keep_checking
from routing.limits import LimitView
from routing.ports import CircuitOpen

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return BACKEND


@pytest.fixture
def health(clock):
    return Health(clock=clock, wall=lambda: 1_800_000_000 + clock())


@pytest.fixture
def guards(clock, health):
    rules = Rules(BreakerSettings(jitter=0.0))
    return Guards(rules, watchers=[health], observe=health.observe, clock=clock, rng=random.Random(0))


async def call(guards, deployment, error=None, latency_s=1.0):
    async with guards.admit(deployment) as permit:
        if error:
            permit.failed(error)
        else:
            permit.succeeded(latency_s, 0.1, 5)


def look(health, guards, name="alpha"):
    return health.provider(name, guards.show())


async def test_one_nobody_used_is_healthy_and_says_so(health, guards):
    view = look(health, guards)
    assert (view.status, view.reasons, view.error_rate, view.breaker) == ("healthy", ("not used yet",), None, "closed")


async def test_good_calls_make_it_healthy_with_latencies_and_a_time_of_last_use(health, guards, deployment, clock):
    for i in range(1, 101):
        await call(guards, deployment(), latency_s=i / 100)
    view = look(health, guards)
    assert (view.status, view.reasons, view.error_rate) == ("healthy", (), 0.0)
    assert (view.latency_p50_s, view.latency_p95_s) == (0.51, 0.96)
    assert view.last_used == 1_800_000_000 + clock()
    assert health.model("alpha/m1").success_rate == 1.0
    assert health.model("beta/m1").success_rate is None


async def test_a_share_of_failures_degrades_it_and_an_open_breaker_makes_it_unhealthy(health, guards, deployment):
    for i in range(10):
        await call(guards, deployment(), Unavailable("x") if i == 3 else None)
    view = look(health, guards)
    assert (view.status, view.reasons) == ("degraded", ("10% of 10 calls failed in the last 5 minutes",))
    assert health.model("alpha/m1").degraded and guards.standing(deployment()) is None
    for _ in range(5):
        await call(guards, deployment(), Unavailable("x"))
    view = look(health, guards)
    assert (view.status, view.breaker, view.consecutive_failures, view.uptime_s) == ("unhealthy", "open", 5, 0.0)
    assert view.reasons[0] == "circuit open: 5 failures in a row, for 5 s"
    assert guards.standing(deployment()) == "open"


async def test_uptime_counts_from_when_the_breaker_closed(health, guards, deployment, clock):
    for _ in range(5):
        await call(guards, deployment(), Unavailable("x"))
    clock.now += 5
    await call(guards, deployment())
    assert look(health, guards).breaker == "half_open"
    await call(guards, deployment())
    clock.now += 42
    assert look(health, guards).uptime_s == 42


async def test_failures_are_forgotten_after_five_minutes(health, guards, deployment, clock):
    for _ in range(4):
        await call(guards, deployment(), Unavailable("x"))
    assert look(health, guards).status == "degraded"
    clock.now += 400
    assert look(health, guards).status == "healthy"


@pytest.mark.parametrize("error", [BadRequest("x"), RateLimited("x", after=3)])
async def test_the_callers_faults_and_limits_are_no_errors_of_the_provider(health, guards, deployment, error):
    await call(guards, deployment(), error)
    view = look(health, guards)
    assert view.error_rate is None and view.consecutive_failures == 0


async def test_a_rate_limit_degrades_and_a_dead_key_makes_unhealthy(health, guards, deployment):
    await call(guards, deployment(), RateLimited("x", after=3))
    assert look(health, guards).reasons == ("rate limited, for 3 s",)
    assert look(health, guards).status == "degraded"
    await call(guards, deployment("beta"), AuthenticationFailed("x"))
    assert look(health, guards, "beta").status == "unhealthy"
    assert look(health, guards, "beta").breaker == "closed"


async def test_a_fault_of_one_model_degrades_its_provider_and_names_the_model(health, guards, deployment):
    for _ in range(20):
        await call(guards, deployment(model="good"))
    for _ in range(5):
        await call(guards, deployment(), Unavailable("x", model_only=True))
    view = look(health, guards)
    assert (view.status, view.breaker) == ("degraded", "closed")
    assert view.reasons[0].startswith("m1: circuit open")


async def test_the_limits_are_shown_as_given(health, guards):
    view = LimitView(1, 2, {"rpm": 3})
    assert health.provider("alpha", (), view).limiter is view


async def test_a_check_informs_at_its_interval_and_opens_and_closes_nothing(deployment):
    health = Health(clock=virtual_now, wall=virtual_now)
    guards = Guards(watchers=[health], clock=virtual_now)
    asked, ill = [], True

    async def ask():
        asked.append(virtual_now())
        if ill:
            raise Unavailable("it is busy")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keep_checking, [Check("alpha", ask, interval_s=60)], health)
        await anyio.sleep(301)
        view = look(health, guards)
        assert (view.status, view.reasons) == ("unhealthy", ("the check failed: it is busy",))
        assert view.last_check == asked[-1] and len(asked) == 6
        assert guards.blocked(deployment()) is None
        for _ in range(5):
            await call(guards, deployment(), Unavailable("x"))
        ill = False
        await anyio.sleep(2)
        with pytest.raises(CircuitOpen):
            await call(guards, deployment())
        await anyio.sleep(60)
        assert "the check failed: it is busy" not in look(health, guards).reasons
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("trouble", "ailment"),
    [
        (lambda: anyio.sleep(99), "the check had no answer within 5 s"),
        (lambda: 1 / 0, "the check failed: ZeroDivisionError"),
    ],
)
async def test_a_check_that_hangs_or_breaks_is_an_ailment_until_a_call_succeeds(deployment, trouble, ailment):
    health = Health(clock=virtual_now, wall=virtual_now)
    guards = Guards(watchers=[health], clock=virtual_now)

    async def ask():
        await trouble()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keep_checking, [Check("alpha", ask, interval_s=1000)], health)
        await anyio.sleep(10)
        assert look(health, guards).reasons == (ailment,)
        await call(guards, deployment())
        assert look(health, guards).status == "healthy"
        tasks.cancel_scope.cancel()


async def test_other_checks_take_the_place_of_those_before():
    health = Health(clock=virtual_now, wall=virtual_now)
    checkup, asked = Checkup(health), []

    async def ask(name):
        asked.append(name)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(checkup.run)
        await anyio.sleep(5)
        for name in ("alpha", "beta"):
            checkup.adopt([Check(name, lambda name=name: ask(name), interval_s=10)])
            await anyio.sleep(25)
        tasks.cancel_scope.cancel()
    assert asked == ["alpha"] * 3 + ["beta"] * 3
