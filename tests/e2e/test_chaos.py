"""Two minutes of bad weather: two of three providers fail in all the ways there are, 28 % of the time.

Virtual time; seeds are fixed, so that a failing run can be repeated.
"""

import random

import anyio
import pytest
from doubles import Listed, ask, sim

from providers.simulator import Conduct, parse_fault
from providers.simulator.virtual import VirtualLoop
from routing.balancer import RoundRobin
from routing.errors import Refusal
from routing.guard import Guards
from routing.manager import ProviderManager
from routing.settings import RoutingSettings

pytestmark = pytest.mark.anyio

WEATHER = {"status:500": 0.10, "hang": 0.05, "reset": 0.05, "truncated": 0.05, "retry_after:1": 0.03}
PER_SECOND = 25


@pytest.fixture
def anyio_backend():
    return "asyncio", {"loop_factory": VirtualLoop}


def storm(**known) -> Conduct:
    faults = tuple((parse_fault(fault), rate) for fault, rate in WEATHER.items())
    return Conduct(latency_s=0.2, tokens_per_s=200, faults=faults, **known)


def sheltered(clock, settings=None, **known) -> ProviderManager:
    """A manager with breakers and a balancer over three providers, the third of them healthy."""
    rng = random.Random(7)
    balancer = RoundRobin(clock=clock)
    guard = Guards(watchers=[balancer], clock=clock, rng=rng)
    calm = Conduct(latency_s=0.2, tokens_per_s=200)
    providers = [sim("one", storm(), seed=1), sim("two", storm(), seed=2), sim("three", calm)]
    return ProviderManager(
        Listed(providers), settings=settings, guard=guard, balancer=balancer, clock=clock, random=rng, **known
    )


@pytest.mark.parametrize(("strategy", "seconds"), [("balanced", 120), ("cost", 40), ("performance", 40)])
async def test_chaos_costs_no_answer_and_few_calls(strategy, seconds):
    manager = sheltered(anyio.current_time, RoutingSettings(strategy=strategy))
    calls: list[int] = []
    lost: list[str] = []

    async def one() -> None:
        try:
            result = await manager.generate(ask("Name a river."))
            calls.append(len(result.receipt.attempts))
        except Refusal as error:
            lost.append(error.code)

    async with anyio.create_task_group() as group:
        for _ in range(seconds * PER_SECOND):
            group.start_soon(one)
            await anyio.sleep(1 / PER_SECOND)
    asked = seconds * PER_SECOND
    assert len(lost) <= asked * 0.001, lost
    settled = calls[200:]
    assert sum(settled) / len(settled) <= 1.2


async def test_a_provider_that_recovers_is_used_again():
    """After the storm the learned distrust fades: both share the work."""
    clock = anyio.current_time
    balancer = RoundRobin(clock=clock)
    guard = Guards(watchers=[balancer], clock=clock, rng=random.Random(3))
    ill = Conduct(latency_s=0.2, script=(parse_fault("status:503"),) * 3)
    pair = [sim("recovers", ill), sim("steady", Conduct(latency_s=0.2))]
    manager = ProviderManager(Listed(pair), guard=guard, balancer=balancer, clock=clock)
    for _ in range(40):
        await manager.generate(ask())
        await anyio.sleep(30)
    served = [(await manager.generate(ask())).receipt.provider for _ in range(60)]
    assert 15 <= served.count("recovers") <= 45
