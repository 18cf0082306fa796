"""Who left first costs the others nothing: a call on its way is brought to its end for those who wait for it."""

from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from doubles import Listed, ask, sim, stepped

from providers.simulator import Conduct
from routing.costs.budgets import Plan
from routing.manager import ProviderManager
from routing.recall import Replay
from routing.shelter import SingleFlight
from routing.store.sqlite import sqlite
from tests.routing.cache.conftest import Cache
from tests.routing.money import Clock, rows, tracker

pytestmark = pytest.mark.anyio
PATIENCE_S = 60


class Counting:
    """Counts the calls it passes on."""

    def __init__(self, inner) -> None:
        self.inner = inner
        self.count = 0

    def open(self, request, model):
        self.count += 1
        return self.inner.open(request, model)


def counted() -> tuple[Listed, Counting]:
    deployment = sim("a", Conduct(latency_s=0.005))
    calls = Counting(deployment.opener)
    return Listed([replace(deployment, opener=calls)]), calls


async def both(manager, asked, at: int) -> tuple[list, list, bool]:
    """Two ask the same; the first is cancelled when it waits for the `at`-th time. What each got, and whether it was."""
    first, second, acted = [], [], False

    async def follow() -> None:
        second.append(await manager.generate(asked()))

    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as tasks:
            scope = anyio.CancelScope()

            def leave() -> None:
                nonlocal acted
                acted = True
                scope.cancel()

            async def lead() -> None:
                with scope:
                    first.append(await stepped(manager.generate(asked()), at, leave))

            tasks.start_soon(lead)
            tasks.start_soon(follow)  # runs, and waits, before the first one waits for the second time
    return first, second, acted


async def test_a_leader_cancelled_at_any_await_costs_who_asks_the_same_no_second_call(tmp_path: Path):
    at, acted = 2, True
    while acted:
        async with sqlite(tmp_path / f"{at}.db") as store:
            directory, calls = counted()
            recall = Replay(store.archive, store.archive, clock=Clock())
            manager = ProviderManager(directory, recall=recall, purse=tracker(store, plan=Plan()))
            _, (second,), acted = await both(manager, ask, at)
            assert (at, calls.count, second.receipt.cached) == (at, 1, "joined")
            assert rows(store, "SELECT state, count(*) FROM attempt GROUP BY state") == [(1, 1)]
        at += 1
    assert at > 8


async def test_a_leader_cancelled_at_any_await_hands_its_answer_to_those_who_share_the_flight():
    at, acted = 2, True
    while acted:
        directory, calls = counted()
        manager = ProviderManager(directory, recall=Cache(None, Clock(), directory=directory).recall)
        _, (second,), acted = await both(manager, ask, at)
        assert (at, calls.count) == (at, 1)
        assert second.receipt.cached in ("joined", "exact") and second.receipt.cost_usd == 0
        at += 1
    assert at > 4


async def test_alone_a_cancelled_call_ends_at_once():
    directory, _ = counted()
    manager = ProviderManager(directory, recall=Cache(None, Clock(), directory=directory).recall)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await manager.generate(ask())
    assert scope.cancelled_caught


async def test_when_the_last_one_who_waits_leaves_the_work_ends_too():
    flights, began, ended = SingleFlight(), anyio.Event(), []
    leading, following = anyio.CancelScope(), anyio.CancelScope()

    async def lead() -> None:
        try:
            with leading, flights.lead("work"):
                began.set()
                await anyio.sleep_forever()
        finally:
            ended.append("work")

    async def follow() -> None:
        running = flights.running("work")
        with following:
            async with anyio.create_task_group() as two:
                two.start_soon(running.outcome)
                two.start_soon(running.outcome)

    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lead)
            await began.wait()
            tasks.start_soon(follow)
            await anyio.wait_all_tasks_blocked()
            leading.cancel()
            await anyio.wait_all_tasks_blocked()
            assert ended == []
            following.cancel()
    assert ended == ["work"]
    assert leading.cancelled_caught
    assert flights.running("work") is None


async def test_a_deadline_that_passes_while_others_wait_is_told_when_the_work_is_done():
    flights, done = SingleFlight(), anyio.Event()

    async def lead() -> None:
        with anyio.move_on_after(0) as deadline, flights.lead("work"):
            await done.wait()
        assert not deadline.cancelled_caught

    async def follow() -> None:
        await flights.running("work").outcome()

    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lead)
            tasks.start_soon(follow)
            await anyio.wait_all_tasks_blocked()
            done.set()
