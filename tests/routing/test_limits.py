"""Limits: no minute above its limit, fair, all or nothing, foreseeable, corrected, and nothing lost when cancelled."""

import bisect
import math
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from virtual_time import BACKEND, virtual_now

from routing.limits import Limiter, Limits, LimitSettings, Line, MemoryDays, World
from routing.meter import Meter
from routing.pace import pace
from routing.ports import QuotaWait

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return BACKEND


def limiter(days=None, settings=None, **limits):
    return Limiter({"alpha": Limits(**limits)}, settings, clock=virtual_now, days=days)


def worst_window(stamps, width=60.0):
    stamps = sorted(stamps)
    return max(bisect.bisect_left(stamps, start + width) - i for i, start in enumerate(stamps))


def lines(gate):
    return list(gate._lines.values())


def assert_nothing_leaked(gate):
    for line in lines(gate):
        assert (line.running, line.waiting_requests, line.waiting_tokens) == (0, 0, 0)
        assert not line.turn.locked()


async def spend(gate, deployment, tokens=0, deadline=math.inf, keep=0.0):
    """Take a slot, keep it so long; the second at which it was had."""
    async with gate.slot(deployment, tokens, deadline):
        had = virtual_now()
        if keep:
            await anyio.sleep(keep)
    return had


async def crowd(gate, deployment, sizes, **how):
    """All at once; the second at which each had its slot, by position."""
    had = {}

    async def one(position, tokens):
        had[position] = await spend(gate, deployment, tokens, **how)

    async with anyio.create_task_group() as tasks:
        for position, tokens in enumerate(sizes):
            tasks.start_soon(one, position, tokens)
    return [had[i] for i in range(len(sizes))]


@pytest.mark.parametrize("rpm", [1, 2, 3, 10, 60, 200])
async def test_no_minute_holds_more_than_the_limit_and_little_of_it_is_wasted(deployment, rpm):
    began = virtual_now()
    stamps = await crowd(limiter(rpm=rpm), deployment(), [0] * (rpm * 4))
    assert worst_window(stamps) <= rpm
    assert max(stamps) - began <= 60 * 4 / 0.87


async def test_slots_are_had_in_the_order_of_asking(deployment):
    stamps = await crowd(limiter(rpm=30, tpm=10_000), deployment(), [100, 2500, 10, 700, 1, 2400] * 5)
    assert stamps == sorted(stamps)


async def test_a_large_request_under_a_stream_of_small_ones_waits_at_most_twice_the_ideal(deployment):
    gate = limiter(tpm=6000)
    await spend(gate, deployment(), 1500)
    ideal = gate.wait_s(deployment(), 1500)
    had = {}

    async def large():
        had["large"] = await spend(gate, deployment(), 1500) - began

    began = virtual_now()
    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(spend, gate, deployment(), 10)
            tasks.start_soon(large)
            while "large" not in had:
                await anyio.sleep(0.05)
                tasks.start_soon(spend, gate, deployment(), 10)
            tasks.cancel_scope.cancel()
    assert had["large"] <= 2 * ideal
    assert_nothing_leaked(gate)


async def test_a_request_larger_than_any_minute_runs_on_an_empty_bucket_and_leaves_its_debt(deployment):
    gate = limiter(tpm=1000)
    await spend(gate, deployment(), 5000)
    assert gate.wait_s(deployment(), 1) > 60 * 4


async def test_concurrency_is_bounded_and_first_come_first_served(deployment):
    gate = limiter(concurrency=3)
    began = virtual_now()
    stamps = await crowd(gate, deployment(), [0] * 10, keep=10)
    assert [round(stamp - began) for stamp in stamps] == [0, 0, 0, 10, 10, 10, 20, 20, 20, 30]
    assert_nothing_leaked(gate)


async def test_all_or_nothing_what_waits_for_one_limit_takes_none_of_the_others(deployment):
    gate = limiter(rpm=100, concurrency=1)
    async with gate.slot(deployment(), 0, math.inf), anyio.create_task_group() as tasks:
        left = gate.view("alpha").left["rpm"]
        for _ in range(5):
            tasks.start_soon(spend, gate, deployment())
        await anyio.sleep(0)
        assert gate.view("alpha").left["rpm"] == left
        assert gate.view("alpha").queued == 5
        tasks.cancel_scope.cancel()
    assert_nothing_leaked(gate)


async def test_a_deadline_that_cannot_be_met_is_refused_at_once_with_the_wait(deployment):
    gate = limiter(rpm=10)
    await spend(gate, deployment())
    before = virtual_now()
    with pytest.raises(QuotaWait) as caught:
        await spend(gate, deployment(), deadline=before + 2)
    assert virtual_now() == before
    assert caught.value.why == "rpm" and caught.value.wait_s == pytest.approx(60 / 9.9, rel=0.01)
    await spend(gate, deployment(), deadline=before + caught.value.wait_s + 0.01)


async def test_those_ahead_count_when_a_deadline_is_judged(deployment):
    gate = limiter(rpm=60)
    async with anyio.create_task_group() as tasks:
        for _ in range(30):
            tasks.start_soon(spend, gate, deployment())
        await anyio.sleep(0)
        with pytest.raises(QuotaWait) as caught:
            await spend(gate, deployment(), deadline=virtual_now() + 10)
        assert caught.value.wait_s == pytest.approx(gate.wait_s(deployment(), 0), abs=1.5)
        assert 20 < caught.value.wait_s < 30
        tasks.cancel_scope.cancel()


async def test_waiting_for_a_place_ends_at_the_deadline(deployment):
    gate = limiter(concurrency=1)
    async with gate.slot(deployment(), 0, math.inf):
        began = virtual_now()
        with pytest.raises(QuotaWait) as caught:
            await spend(gate, deployment(), deadline=began + 7)
        assert virtual_now() - began == pytest.approx(7)
    assert caught.value.why == "concurrency" and math.isfinite(caught.value.wait_s)
    assert_nothing_leaked(gate)


async def test_a_full_line_refuses(deployment):
    gate = limiter(settings=LimitSettings(queue=2), concurrency=1)
    async with gate.slot(deployment(), 0, math.inf), anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(spend, gate, deployment())
        await anyio.sleep(0)
        with pytest.raises(QuotaWait, match="queue"):
            await spend(gate, deployment())
        tasks.cancel_scope.cancel()


async def test_settling_for_less_wakes_the_next_in_line(deployment):
    gate = limiter(tpm=6000)
    had = []

    async def next_in_line():
        had.append(await spend(gate, deployment(), 1500))

    async with anyio.create_task_group() as tasks:
        async with gate.slot(deployment(), 1500, math.inf) as slot:
            tasks.start_soon(next_in_line)
            await anyio.sleep(1)
            settled = virtual_now()
            slot.settle(1)
    assert had[0] == pytest.approx(settled, abs=0.1)


async def test_settling_for_more_delays_the_next(deployment):
    gate = limiter(tpm=6000)
    async with gate.slot(deployment(), 10, math.inf) as slot:
        slot.settle(7500)
    assert gate.wait_s(deployment(), 1500) == pytest.approx(100, rel=0.01)


async def test_only_the_difference_to_the_last_settling_counts(deployment):
    gate = limiter(tpm=6000)
    async with gate.slot(deployment(), 1000, math.inf) as slot:
        for _ in range(5):
            slot.settle(1200)
    assert gate.view("alpha").left["tpm"] == pytest.approx(300)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m2.5s"}, 62.5),
        (
            {
                "x-ratelimit-limit-requests": "60",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1m0s",
            },
            1.0,
        ),
        ({"anthropic-ratelimit-tokens-remaining": "0", "anthropic-ratelimit-tokens-reset": "SOON"}, 30.0),
        ({"ratelimitbysize-remaining": "0", "ratelimitbysize-reset": "17"}, 17.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "99999999"}, 3600.0),
        ({"x-ratelimit-remaining-requests": "junk", "x-ratelimit-reset-requests": "1h"}, 0.0),
        ({"x-ratelimit-remaining-requests": "nan", "x-ratelimit-reset-requests": "-5s"}, 0.0),
        ({"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "9h"}, 0.0),
    ],
)
async def test_what_the_provider_says_is_left_holds_this_model_and_no_other(deployment, headers, wait):
    now = datetime(2026, 11, 21, tzinfo=UTC)
    headers = {k: (now + timedelta(seconds=30)).isoformat() if v == "SOON" else v for k, v in headers.items()}
    gate = Limiter(clock=virtual_now, wall=now.timestamp)
    async with gate.slot(deployment(), 5, math.inf) as slot:
        slot.settle(5, headers)
    assert gate.wait_s(deployment(), 5) == pytest.approx(wait)
    assert gate.wait_s(deployment(model="other"), 5) == 0
    began = virtual_now()
    assert await spend(gate, deployment(), 5) - began == pytest.approx(wait)


async def test_the_provider_is_believed_when_it_sees_less_left_than_we_do(deployment):
    gate = limiter(rpm=600)
    async with gate.slot(deployment(), 0, math.inf) as slot:
        slot.settle(0, {"x-ratelimit-remaining-requests": "7"})
        assert gate.view("alpha").left["rpm"] == pytest.approx(7)
        slot.settle(0, {"x-ratelimit-remaining-requests": "500"})
        assert gate.view("alpha").left["rpm"] == pytest.approx(7)


async def test_the_day_is_counted_and_refuses_with_the_time_to_its_end(deployment):
    now = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
    gate = limiter(days=MemoryDays(now=lambda zone: now.astimezone(zone)), rpd=3)
    for _ in range(3):
        await spend(gate, deployment())
    with pytest.raises(QuotaWait) as caught:
        await spend(gate, deployment(), deadline=virtual_now() + 60)
    assert (caught.value.why, caught.value.wait_s) == ("rpd", 3600)
    assert gate.view("alpha").left == {"rpd": 0}
    now += timedelta(hours=2)
    await spend(gate, deployment(), deadline=virtual_now() + 60)


async def test_a_model_may_have_limits_of_its_own_and_stops_no_other_while_it_waits(deployment):
    gate = Limiter({"alpha": Limits(rpm=600), deployment().unit: Limits(rpm=2)}, clock=virtual_now)
    began = virtual_now()
    had = {}

    async def one(name, model):
        had[name] = await spend(gate, deployment(model=model)) - began

    async with anyio.create_task_group() as tasks:
        for i in range(3):
            tasks.start_soon(one, f"m1 {i}", "m1")
        for i in range(3):
            tasks.start_soon(one, f"m2 {i}", "m2")
    assert had["m1 0"] == 0 and had["m1 2"] > 30
    assert max(had[f"m2 {i}"] for i in range(3)) < 0.01
    assert_nothing_leaked(gate)


async def test_limits_can_be_replaced_while_somebody_waits(deployment):
    gate = limiter(rpm=1)
    await spend(gate, deployment())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(spend, gate, deployment())
        await anyio.sleep(1)
        began = virtual_now()
        gate.replace({})
    assert virtual_now() - began < 0.1
    gate.replace({"alpha": Limits(rpm=1)})
    await spend(gate, deployment())
    assert gate.wait_s(deployment(), 0) > 10


async def test_what_was_used_stays_used_when_a_limit_changes(deployment):
    gate = limiter(rpm=100)
    await crowd(gate, deployment(), [0] * 10)
    gate.replace({"alpha": Limits(rpm=50)})
    assert gate.wait_s(deployment(), 0) > 5


@pytest.mark.parametrize("step", range(40))
async def test_cancelled_at_any_await_nobody_leaves_anything_behind(deployment, step):
    """The victim waits in two lines behind one who leaves after a while; somebody else waits behind the victim."""
    limits = {"alpha": Limits(rpm=600, tpm=60_000, concurrency=1), deployment().unit: Limits(rpm=300)}
    gate = Limiter(limits, clock=virtual_now)
    behind = []

    async def last():
        behind.append(await spend(gate, deployment(), 50))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            holder = anyio.CancelScope()

            async def hold():
                with holder:
                    await spend(gate, deployment(), 50, keep=1000)

            victim = anyio.CancelScope()

            async def suffer():
                with victim:
                    await spend(gate, deployment(), 50, keep=0.001)

            for task in (hold, suffer, last):
                tasks.start_soon(task)
            for at in range(40):
                if at == 10:
                    holder.cancel()
                if at == step:
                    victim.cancel()
                await checkpoint() if at % 4 else await anyio.sleep(0.0005)
    assert len(behind) == 1
    assert_nothing_leaked(gate)


@settings(max_examples=200, deadline=None, database=None)
@given(st.integers(100, 100_000), st.lists(st.tuples(st.floats(0, 20), st.floats(0, 1)), min_size=1, max_size=80))
def test_no_minute_of_tokens_exceeds_the_limit_as_long_as_each_fits_the_burst(tpm, asks):
    now = 0.0
    meter = Meter(pace(tpm, 0.25, 60), lambda: now)
    taken = []
    for pause, size in asks:
        now += pause
        amount = size * meter.max_rate
        now += meter.delay(amount)
        meter.adjust(amount)
        taken.append((now, amount))
    for start, _ in taken:
        assert sum(amount for at, amount in taken if start <= at < start + 60) <= tpm * (1 + 1e-6)


class Machine(RuleBasedStateMachine):
    """A line under any mix of takes, settles, leaves, provider's words and time."""

    RPM, PLACES = 7, 3

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        world = World(lambda: self.now, lambda: self.now, MemoryDays())
        self.line = Line("e", Limits(rpm=self.RPM, tpm=1000, concurrency=self.PLACES), LimitSettings(), world)
        self.starts, self.running = [], []

    @rule(seconds=st.floats(0, 90))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(tokens=st.integers(0, 3000), patient=st.booleans())
    def ask(self, tokens, patient):
        wait_s, _ = self.line.need(tokens)
        if patient and math.isfinite(wait_s):
            self.now += wait_s
            wait_s, _ = self.line.need(tokens)
            assert wait_s <= 1e-6 or wait_s == math.inf
            wait_s = 0 if wait_s <= 1e-6 else wait_s
        if wait_s <= 0:
            self.line.take(tokens)
            self.starts.append(self.now)
            self.running.append(tokens)

    @precondition(lambda self: self.running)
    @rule(actual=st.integers(0, 3000))
    def settle_and_leave(self, actual):
        reserved = self.running.pop()
        self.line.correct(actual - reserved, None, None)
        self.line.leave(1.0)

    @rule(seconds=st.floats(0, 100))
    def provider_holds(self, seconds):
        self.line.hold(seconds)
        assert self.line.need(0)[0] >= seconds - 1e-6

    @invariant()
    def no_minute_holds_more_than_the_limit(self):
        assert not self.starts or worst_window(self.starts) <= self.RPM

    @invariant()
    def never_more_at_once_than_allowed(self):
        assert self.line.running == len(self.running) <= self.PLACES

    @invariant()
    def what_is_left_is_never_negative_nor_more_than_the_limit(self):
        left = self.line.view().left
        assert 0 <= left["rpm"] <= self.RPM and 0 <= left["tpm"] <= 1000


Machine.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None, database=None)
TestMachine = Machine.TestCase
