"""A PostgreSQL that is paused, killed or gone: nobody hangs, nobody spends what cannot be booked, nothing bought is lost."""

import random
import time

import anyio
import pytest

from routing.costs.budgets import Cap
from routing.errors import BudgetExceeded
from routing.recall import Replay
from routing.store.faults import StoreFault
from routing.store.postgres import postgres, writer
from routing.store.postgres.driver import connect
from routing.store.postgres.schema import TURNSTILE
from routing.types import Receipt, Result
from tests.routing.money import Told, answer, ask, bill, rows, tracker
from tests.services.test_ledger_postgres import opened

pytestmark = pytest.mark.anyio
LATE_S = 20.0  # what a loaded machine may add


@pytest.fixture
def impatient(monkeypatch):
    """A short grace: what is tested is that it ends."""
    monkeypatch.setattr(writer, "GRACE_S", 1.0)
    monkeypatch.setattr(writer, "AWAY_S", 1.0)


async def called(purse, name: str) -> float:
    """A call's seconds in the ledger. Raises BudgetExceeded."""
    began = time.monotonic()
    async with purse.hold(bill(name)) as held:
        held.settle(answer())
    return time.monotonic() - began


async def until_booked(store, sql: str, expected: list, within_s: float = 5.0 + LATE_S) -> None:
    with anyio.fail_after(within_s):
        while rows(store, sql) != expected:
            await anyio.sleep(0.05)


async def test_a_pause_of_two_seconds_refuses_nobody_and_loses_nothing(own_postgres):
    async with opened(own_postgres.url) as store:
        purse = tracker(store, 1e6)
        await called(purse, "before")
        own_postgres.pause()
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(called, purse, f"during-{number}")
            await anyio.sleep(2)
            own_postgres.resume()
        await store.ledger.reclaim().wait()
        assert rows(store, "SELECT count(*), count(DISTINCT ask) FROM attempt WHERE state = 1") == [(21, 21)]


async def test_while_it_is_paused_for_longer_calls_are_refused_in_time_and_afterwards_all_is_well(
    own_postgres, impatient
):
    async with opened(own_postgres.url) as store:
        purse = tracker(store, 1e6)
        await called(purse, "before")
        own_postgres.pause()
        try:
            for number in range(3):
                with anyio.fail_after(1 + LATE_S), pytest.raises(BudgetExceeded, match="cannot be reached"):
                    await called(purse, f"refused-{number}")
            with anyio.fail_after(10 + LATE_S), pytest.raises(StoreFault):
                await store.books.newest(1)
        finally:
            own_postgres.resume()
        with anyio.fail_after(5 + LATE_S):
            while True:
                try:
                    await called(purse, "after")
                    break
                except BudgetExceeded:
                    await anyio.sleep(0.05)
        await until_booked(store, "SELECT ask FROM attempt WHERE state = 1 ORDER BY ask", [("after",), ("before",)])
        await until_booked(store, "SELECT count(*) FROM attempt WHERE state = 0", [(0,)])
        ((total,),) = rows(store, "SELECT sum(cost) FROM attempt")
        assert rows(store, "SELECT spent, held FROM budget") == [(total, 0)]


async def test_what_was_bought_before_a_pause_is_given_and_booked_when_it_is_over(own_postgres, impatient):
    told = Told()
    async with opened(own_postgres.url) as store:
        purse, recall = tracker(store, 1e6, observer=told), Replay(store.archive, store.archive, observer=told)
        began = 0.0
        async with recall.flight(ask("bought")) as flight, purse.hold(bill("bought")) as held:
            own_postgres.pause()
            began = time.monotonic()
            held.settle(answer())
            await flight.keep(Result(answer(), Receipt("bought")))  # told after the grace: the answer is not held back
        assert time.monotonic() - began < 1 + LATE_S
        own_postgres.resume()
        await until_booked(store, "SELECT ask, state FROM attempt", [("bought", 1)])
        await until_booked(store, "SELECT id FROM receipt", [("bought",)])
        assert rows(store, "SELECT spent / 1000, held FROM budget") == [(1100, 0)]


async def test_what_is_owed_at_the_end_is_written_before_the_process_leaves(own_postgres):
    async with opened(own_postgres.url) as store:
        purse = tracker(store, 1e6)
        async with purse.hold(bill("last")) as held:
            own_postgres.pause()
            held.settle(answer())
        await anyio.sleep(0.2)
        own_postgres.resume()
    assert rows(store, "SELECT ask, state FROM attempt") == [("last", 1)]


async def test_leaving_while_it_is_paused_takes_its_time_and_no_more(own_postgres, impatient):
    with anyio.fail_after(15 + 2 * LATE_S):
        async with postgres(own_postgres.url) as store:
            assert await store.books.newest(1) == []
            own_postgres.pause()
    own_postgres.resume()


async def test_a_replica_that_stops_in_mid_transaction_holds_the_others_up_for_seconds_only(own_postgres):
    async with opened(own_postgres.url) as store:
        purse, stopped = tracker(store, 1e6), await connect(own_postgres.url)
        await stopped.execute("BEGIN")
        await stopped.execute("SELECT pg_advisory_xact_lock($1)", TURNSTILE)
        with anyio.fail_after(10 + LATE_S):
            while True:
                try:
                    await called(purse, "behind")
                    break
                except BudgetExceeded:
                    await anyio.sleep(0.05)
        stopped.terminate()
        await until_booked(store, "SELECT count(*) FROM attempt WHERE state = 0", [(0,)])


async def test_killed_in_mid_commit_again_and_again_no_settled_cost_is_lost_and_none_is_booked_twice(own_postgres):
    chance, done = random.Random(7), list[str]()
    async with opened(own_postgres.url) as store:
        purse = tracker(store, caps=[Cap("global", "day", 1e6)])
        stopped = False

        async def caller(task: int) -> None:
            number = 0
            while not stopped:
                number += 1
                try:
                    await called(purse, f"{task}-{number}")
                except BudgetExceeded:
                    continue
                await store.ledger.reclaim().wait()  # as the answer does: what came before it is durable
                done.append(f"{task}-{number}")

        async with anyio.create_task_group() as tasks:
            for task in range(8):
                tasks.start_soon(caller, task)
            for _ in range(3):
                before = len(done)
                with anyio.fail_after(5 + LATE_S):
                    while len(done) < before + 20:
                        await anyio.sleep(0.01)
                await anyio.sleep(chance.uniform(0, 0.02))
                own_postgres.kill()
                await anyio.to_thread.run_sync(own_postgres.start)
            stopped = True
        await until_booked(store, "SELECT count(*) FROM attempt WHERE state = 0", [(0,)])
        booked = [name for (name,) in rows(store, "SELECT ask FROM attempt WHERE state = 1")]
        assert set(booked).issuperset(done) and len(booked) == len(set(booked))
        ((total,),) = rows(store, "SELECT sum(cost) FROM attempt")
        assert rows(store, "SELECT spent, held FROM budget") == [(total, 0)]
