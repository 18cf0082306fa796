"""Cancelled at every single await: money settled exactly once, places and permits given back, streams closed."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import anyio
import pytest
from anyio.lowlevel import checkpoint
from doubles import Listed, ask, conduct, sim, stepped

from providers.simulator.virtual import VirtualLoop
from routing.manager import ProviderManager
from routing.ports import Cost, NoPurse
from routing.types import Deployment

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio", {"loop_factory": VirtualLoop}


@dataclass
class House:
    """Purse, gate, guard and provider in one, counting what is out."""

    inner: Deployment
    settled: list[int] = field(default_factory=list)
    out: int = 0
    entered: int = 0
    kept: int = 0

    @asynccontextmanager
    async def lent(self):
        await checkpoint()
        self.out += 1
        self.entered += 1
        try:
            await checkpoint()
            yield
        finally:
            self.out -= 1
            with anyio.CancelScope(shield=True):
                await checkpoint()


class Purse(NoPurse):
    def __init__(self, house):
        self.house = house

    @asynccontextmanager
    async def hold(self, bill):
        async with self.house.lent():
            self.house.settled.append(0)
            yield Held(self.house, len(self.house.settled) - 1)


@dataclass
class Held:
    house: House
    place: int

    def settle(self, answer):
        self.house.settled[self.place] += 1
        return Cost(0.5, "priced")

    def abandon(self, billed, answer):
        self.house.settled[self.place] += 1
        return Cost(0.0 if billed == "no" else 0.1, "estimated")


class Gate:
    def __init__(self, house):
        self.house = house

    @asynccontextmanager
    async def slot(self, deployment, tokens, deadline):
        async with self.house.lent():
            yield self

    def settle(self, tokens, headers=None):
        assert tokens >= 0

    def wait_s(self, deployment, tokens):
        return 0.0


class Guard:
    def __init__(self, house):
        self.house = house
        self.votes = []

    @asynccontextmanager
    async def admit(self, deployment, *, force=False, probe=True):
        async with self.house.lent():
            yield self

    def succeeded(self, latency_s, ttft_s, tokens):
        self.votes.append("ok")

    def failed(self, error):
        self.votes.append(error.kind)

    def blocked(self, deployment, *, probe=True):
        return None


class Opener:
    """Counts a provider's open streams."""

    def __init__(self, house, inner):
        self.house, self.inner = house, inner

    @asynccontextmanager
    async def open(self, request, model):
        async with self.house.lent(), self.inner.open(request, model) as stream:
            yield stream


class Recall:
    def __init__(self, house):
        self.house = house

    @asynccontextmanager
    async def flight(self, asked):
        async with self.house.lent():
            self.ask = asked
            yield self

    found = None

    async def keep(self, result):
        await checkpoint()
        self.house.kept += 1


def furnished(*, hedge=False, fault="cut_stream"):
    """A manager over a provider that fails in mid-answer and one that answers, and what it lends out."""
    house = House(sim("x"))
    slow = {"latency_s": 1.0, "tokens_per_s": 50}
    first = sim(
        "first", conduct(*[fault] * (fault is not None), **slow) if not hedge else conduct(latency_s=9.0), priority=1
    )
    second = sim("second", conduct(**slow))
    deployments = [replaced(house, first), replaced(house, second)]
    guard = Guard(house)
    manager = ProviderManager(
        Listed(deployments),
        purse=Purse(house),
        gate=Gate(house),
        guard=guard,
        recall=Recall(house),
        clock=anyio.current_time,
    )
    if hedge:
        for ttft in [0.1] * 55 + [3.0] * 5:
            manager.traffic.answered("first/m", ttft, ttft, 10)
        manager._hedger.budget = 5.0
    return manager, house, guard


def replaced(house, deployment):
    return replace(deployment, opener=Opener(house, deployment.opener))


async def whole(manager):
    return await manager.generate(ask())


async def streamed(manager):
    async with manager.stream(ask()) as stream:
        async for _ in stream:
            pass
        return stream.result


async def cancelled_at(call, at, **kind):
    manager, house, guard = furnished(**kind)
    result = None
    with anyio.CancelScope() as scope:
        result = await stepped(call(manager), at, scope.cancel)
    return scope.cancel_called, result, house, guard


@pytest.mark.parametrize(("call", "kind"), [(whole, {}), (streamed, {"fault": None})])
async def test_nothing_leaks_when_cancelled_at_any_await(call, kind):
    at, cancelled = 0, True
    while cancelled:
        at += 1
        cancelled, _, house, _ = await cancelled_at(call, at, **kind)
        assert_all_given_back(house, at)
    assert at > 15
    assert house.entered == (9 if call is whole else 5)


async def test_nothing_leaks_when_a_race_is_cancelled_at_any_moment():
    for moment in range(120):
        manager, house, _ = furnished(hedge=True)
        with anyio.move_on_after(moment * 0.05):
            await manager.generate(ask(hedge=True))
        assert_all_given_back(house, moment)
    assert house.kept == 1


def assert_all_given_back(house, at):
    assert house.out == 0, f"something is still lent out after a cancellation at {at}"
    assert all(times == 1 for times in house.settled), f"settled {house.settled} at {at}"


async def test_a_cancelled_call_votes_for_nobody():
    manager, _, guard = furnished()
    with anyio.move_on_after(0.5):
        await manager.generate(ask())
    assert guard.votes == []


async def test_whoever_leaves_an_answer_that_was_paid_for_is_kept():
    late = 0
    for at in range(1, 200):
        cancelled, result, house, guard = await cancelled_at(whole, at)
        assert house.kept == guard.votes.count("ok")
        if not cancelled:
            break
        late += house.kept
    assert result is not None
    assert late > 0


async def test_a_hedge_answers_and_the_late_one_is_cancelled_and_settled():
    manager, house, _ = furnished(hedge=True)
    result = await manager.generate(ask(hedge=True))
    assert result.receipt.provider == "second"
    outcomes = {(a.provider, a.outcome, a.hedge) for a in result.receipt.attempts}
    assert ("second", "ok", True) in outcomes
    assert house.settled == [1, 1]
    assert result.receipt.latency_s < 9
