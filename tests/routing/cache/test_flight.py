"""Single flight: a thousand who ask the same share one call, each with his own life and one bill."""

from dataclasses import replace

import anyio
import pytest

from providers.simulator import Conduct
from routing.cache.flight import Formation
from routing.costs.budgets import Plan
from routing.errors import ProvidersFailed
from routing.manager import ProviderManager
from routing.recall import Replay
from routing.store.memory import Memory
from routing.store.shared import SharedLost
from tests.doubles import Listed, ask, sim
from tests.routing.cache.conftest import Cache, said
from tests.routing.money import rows, tracker

pytestmark = pytest.mark.anyio


class Counting:
    """Counts the calls it passes on; holds them until `gate` is set."""

    def __init__(self, inner) -> None:
        self.inner = inner
        self.count = 0

    def open(self, request, model):
        self.count += 1
        return self.inner.open(request, model)


@pytest.fixture
def house(store, clock):
    """A manager as composed: replay over cache, a ledger, one slow simulated provider that counts."""
    deployment = sim("a", Conduct(latency_s=0.1))
    calls = Counting(deployment.opener)
    directory = Listed([replace(deployment, opener=calls)])
    cache = Cache(store, clock, directory=directory)
    recall = Replay(store.archive, store.archive, beneath=cache.recall, clock=clock)
    return ProviderManager(directory, recall=recall, purse=tracker(store, plan=Plan())), calls


@pytest.mark.parametrize("own_ids", [False, True])
async def test_a_thousand_identical_asks_are_one_call_and_one_bill(house, store, own_ids):
    manager, calls = house
    results = []

    async def one(number: int) -> None:
        results.append(await manager.generate(ask(request_id=f"r{number}" if own_ids else None)))

    async with anyio.create_task_group() as tasks:
        for number in range(1000):
            tasks.start_soon(one, number)
    assert calls.count == 1
    ((paid, attempts),) = rows(store, "SELECT sum(cost), count(*) FROM attempt")
    assert attempts == 1 and sum(r.receipt.cost_usd for r in results) == pytest.approx(paid / 1e9)
    assert sum(r.receipt.cached == "no" for r in results) == 1
    assert {r.receipt.cached for r in results} <= {"no", "joined", "exact"}
    assert len({r.answer.text for r in results}) == 1


async def test_a_cancelled_follower_takes_nobody_along(house):
    manager, calls = house
    results = []

    async def one() -> None:
        results.append(await manager.generate(ask(request_id=f"r{len(results)}{id(object())}")))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as doomed:
                for number in range(10):
                    doomed.start_soon(manager.generate, ask(request_id=f"d{number}"))
                for _ in range(5):
                    tasks.start_soon(one)
                while not calls.count:
                    await anyio.lowlevel.checkpoint()
                scope.cancel()
    assert calls.count == 1
    assert len(results) == 6


async def test_a_leader_who_leaves_before_anybody_waits_hands_the_lead_over(clock):
    cache, leading, results = Cache(None, clock), anyio.Event(), []

    async def lead() -> None:
        async with cache.recall.flight(ask()):
            leading.set()
            await anyio.sleep_forever()

    async def follow() -> None:
        results.append(await cache.answer(ask()))

    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as inner:
                inner.start_soon(lead)
                await leading.wait()
                scope.cancel()
                for _ in range(3):
                    tasks.start_soon(follow)
    assert cache.calls == 1
    assert sorted(r.receipt.cached for r in results) == ["exact", "exact", "no"]


async def test_a_refusal_is_shared_by_those_who_wait_and_by_nobody_later(clock):
    cache, gate, errors = Cache(None, clock), anyio.Event(), []

    async def one() -> None:
        try:
            async with cache.recall.flight(ask()):
                cache.calls += 1
                await gate.wait()
                raise ProvidersFailed("all failed", hint="later")
        except ProvidersFailed as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(one)
        await anyio.wait_all_tasks_blocked()
        gate.set()
    assert cache.calls == 1 and len(errors) == 4 and len(set(map(id, errors))) == 4
    assert (await cache.answer(ask())).answer.text == "answer 2"


async def test_who_may_spend_other_sums_does_not_share_a_flight(clock):
    cache, gate = Cache(None, clock), anyio.Event()

    async def one(usd: float) -> None:
        asked = ask(max_cost_usd=usd)
        async with cache.recall.flight(asked) as flight:
            cache.calls += 1
            await gate.wait()
            await flight.keep(said("x", asked))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one, 1.0)
        tasks.start_soon(one, 2.0)
        await anyio.wait_all_tasks_blocked()
        gate.set()
    assert cache.calls == 2


async def test_two_replicas_share_one_call(clock):
    commons, gate, results = Memory(clock), anyio.Event(), []

    async def look_again(_: float) -> None:
        await anyio.lowlevel.checkpoint()

    replicas = [Cache(None, clock, formation=Formation(commons, look_again)) for _ in range(2)]

    async def one(cache: Cache) -> None:
        async with cache.recall.flight(ask()) as flight:
            if flight.found is None:
                cache.calls += 1
                await gate.wait()
                await flight.keep(said("one", ask()))
            results.append(flight.found)

    async with anyio.create_task_group() as tasks:
        for cache in replicas:
            tasks.start_soon(one, cache)
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        gate.set()
    assert sum(cache.calls for cache in replicas) == 1
    assert [r.receipt.cached for r in results if r is not None] == ["joined"]


async def test_a_replica_that_works_for_long_keeps_its_lead(clock):
    commons, gate = Memory(clock), anyio.Event()
    began = clock()

    async def pass_time(seconds: float) -> None:
        clock.now += seconds
        await anyio.lowlevel.checkpoint()

    replicas = [Cache(None, clock, formation=Formation(commons, pass_time)) for _ in range(2)]

    async def one(cache: Cache) -> None:
        async with cache.recall.flight(ask()) as flight:
            if flight.found is None:
                cache.calls += 1
                await gate.wait()
                await flight.keep(said("one", ask()))

    async with anyio.create_task_group() as tasks:
        for cache in replicas:
            tasks.start_soon(one, cache)
        while clock() - began < 600:
            await anyio.lowlevel.checkpoint()
        gate.set()
    assert sum(cache.calls for cache in replicas) == 1


async def test_a_lost_fleet_store_means_that_each_leads_for_himself(clock):
    class Lost(Memory):
        async def join(self, key, token, lease_s):
            raise SharedLost("gone")

        async def get(self, key):
            raise SharedLost("gone")

        async def put(self, key, value, ttl_s):
            raise SharedLost("gone")

    cache = Cache(None, clock, Lost(clock), Formation(Lost(clock)))
    await cache.answer(ask())
    assert (await cache.answer(ask())).receipt.cached == "exact"
    assert cache.calls == 1
