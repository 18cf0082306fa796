"""A provider is gone for a minute and comes back. Virtual time."""

import random
from dataclasses import replace

import anyio
import pytest
from doubles import Listed, ask, sim

from providers.errors import Unavailable
from providers.simulator import Conduct
from providers.simulator.virtual import VirtualLoop
from routing.balancer import RoundRobin
from routing.breaker import BreakerSettings
from routing.guard import Guards
from routing.manager import ProviderManager

pytestmark = pytest.mark.anyio
PER_SECOND, LATENCY_S = 10, 0.2
FROM, UNTIL, END = 30.0, 90.0, 220.0


@pytest.fixture
def anyio_backend():
    return "asyncio", {"loop_factory": VirtualLoop}


class Gone:
    """Passes calls on, but for a minute refuses all."""

    def __init__(self, inner) -> None:
        self.inner = inner
        self.began = anyio.current_time()
        self.wasted = 0
        self.served: list[float] = []

    def open(self, request, model):
        now = anyio.current_time() - self.began
        if FROM <= now < UNTIL:
            self.wasted += 1
            raise Unavailable("gone", status=503)
        self.served.append(now)
        return self.inner.open(request, model)


async def test_an_outage_wastes_a_handful_of_calls_and_ends_with_the_opening_cap():
    clock, rules = anyio.current_time, BreakerSettings()
    rng = random.Random(11)
    balancer = RoundRobin(clock=clock)
    guard = Guards(watchers=[balancer], clock=clock, rng=rng)
    calm = Conduct(latency_s=LATENCY_S)
    ill, well = sim("ill", calm), sim("well", calm)
    gone = Gone(ill.opener)
    manager = ProviderManager(
        Listed([replace(ill, opener=gone), well]), guard=guard, balancer=balancer, clock=clock, random=rng
    )
    answered = 0

    async def one() -> None:
        nonlocal answered
        await manager.generate(ask("Name a river."))
        answered += 1

    async with anyio.create_task_group() as group:
        for _ in range(int(END * PER_SECOND)):
            group.start_soon(one)
            await anyio.sleep(1 / PER_SECOND)
    in_flight = PER_SECOND * LATENCY_S + 1
    probes = 6  # openings last 5, 10, 20, 40 s, give or take a fifth: at most six end within the minute
    assert answered == END * PER_SECOND
    assert 1 <= gone.wasted <= rules.failures + in_flight + probes
    back = min(at for at in gone.served if at >= UNTIL)
    assert back - UNTIL <= rules.max_open_s * 1.2
