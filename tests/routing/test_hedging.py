"""Who may be hedged, how often, and how a race ends."""

import anyio
import pytest
from doubles import Listed, ask, conduct, sim

from providers.errors import Unavailable
from providers.simulator.virtual import VirtualLoop
from routing.guard import Guards
from routing.hedging import Hedger, race
from routing.manager import ProviderManager
from routing.settings import HedgeSettings
from routing.signals import Traffic

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio", {"loop_factory": VirtualLoop}


def hedger(*ttfts):
    traffic = Traffic(lambda: 0.0)
    for ttft in ttfts:
        traffic.answered("a/m", ttft * 2, ttft, 10)
    return Hedger(HedgeSettings(), traffic)


def test_only_a_heavy_tail_with_enough_samples_is_hedged_at_its_own_p95():
    assert hedger(*[0.1] * 57, *[2.0] * 3).delay_s("a/m") == 2.0
    assert hedger(*[0.1] * 45, *[2.0] * 3).delay_s("a/m") is None
    assert hedger(*[0.1] * 57, *[0.4] * 3).delay_s("a/m") is None
    assert hedger().delay_s("a/m") is None


def test_hedges_are_at_most_five_percent_of_the_asks():
    house, taken = hedger(), 0
    for _ in range(1_000):
        house.earn()
        taken += house.take()
    assert 45 <= taken <= 50


async def after(seconds, value):
    await anyio.sleep(seconds)
    if isinstance(value, Exception):
        raise value
    return value


async def run(first, second, delay, *, heard_after=None):
    """`first` and `second` are (seconds, result or error); None for no second."""
    began = []

    async def primary(heard):
        if heard_after is not None:
            await anyio.sleep(heard_after)
            heard()
        return await after(*first)

    def spare():
        began.append(anyio.current_time())
        return after(*second) if second else None

    return await race(primary, spare, delay), began


async def test_a_prompt_first_has_no_second():
    assert await run((0.5, "first"), (0.1, "second"), 1.0) == ("first", [])


async def test_a_first_token_before_the_delay_spares_the_second():
    assert await run((5.0, "first"), (0.1, "second"), 1.0, heard_after=0.5) == ("first", [])


async def test_a_late_first_is_overtaken():
    assert await run((5.0, "first"), (0.5, "second"), 1.0) == ("second", [1.0])
    assert anyio.current_time() == 1.5


async def test_a_late_first_may_still_win():
    assert (await run((1.2, "first"), (0.5, "second"), 1.0))[0] == "first"


async def test_where_one_fails_the_other_answers():
    assert (await run((1.2, Unavailable("x")), (0.5, "second"), 1.0))[0] == "second"
    assert (await run((3.0, "first"), (0.5, Unavailable("x")), 1.0))[0] == "first"


async def test_where_both_fail_the_first_is_told():
    with pytest.raises(Unavailable, match="one"):
        await run((1.2, Unavailable("one")), (0.5, Unavailable("two")), 1.0)


async def test_where_no_second_may_start_the_first_is_waited_for():
    assert (await run((5.0, "first"), None, 1.0))[0] == "first"


def hurried(*spares, guard=None):
    """A manager whose first is late and may be hedged to `spares`, in this order."""
    late = sim("late", conduct(latency_s=9.0), priority=9)
    deployments = [late, *(sim(name, priority=8 - place) for place, name in enumerate(spares))]
    house = ProviderManager(Listed(deployments), guard=guard, clock=anyio.current_time)
    for ttft in [0.1] * 55 + [3.0] * 5:
        house.traffic.answered("late/m", ttft, ttft, 10)
    house._hedger.budget = 5.0
    return house


async def hedged_to(house, **known):
    """Who was asked beside the late one."""
    result = await house.generate(ask(hedge=True, **known))
    return [attempt.provider for attempt in result.receipt.attempts if attempt.hedge]


async def ill(guards, name, seconds=6.0):
    """Open a breaker, and let its time pass."""
    for _ in range(5):
        async with guards.admit(sim(name)) as permit:
            permit.failed(Unavailable("x"))
    await anyio.sleep(seconds)


async def test_a_late_one_is_hedged_to_the_next():
    assert await hedged_to(hurried("next", "other")) == ["next"]


async def test_a_hedge_leaves_the_probe_of_who_was_ill_to_others():
    guards = Guards(clock=anyio.current_time)
    await ill(guards, "next")
    assert await hedged_to(hurried("next", "other", guard=guards)) == ["other"]
    assert await hedged_to(hurried("next", guard=guards)) == []
    assert guards.show()[0].state == "open"  # its time is up, and nobody has looked
    result = await hurried("next", guard=guards).generate(ask(model="next/m", exclude_families=("late",)))
    assert result.receipt.provider == "next"


@pytest.mark.parametrize(("allowed", "asked"), [((), ["next"]), (("late/m",), []), (("late/m", "other/*"), ["other"])])
async def test_nobody_is_hedged_to_a_model_that_is_not_for_him(allowed, asked):
    assert await hedged_to(hurried("next", "other"), allowed_models=allowed) == asked
