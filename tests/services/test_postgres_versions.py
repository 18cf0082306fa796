"""Replicas of different versions on one server, as a rolling update has them: forward only, and never in each other's way."""

from contextlib import asynccontextmanager

import anyio
import pytest

from routing.costs.budgets import Cap
from routing.errors import BudgetExceeded
from routing.recall import Replay
from routing.store import postgres as package
from routing.store.postgres.schema import MIGRATIONS, NEEDS
from routing.types import Receipt, Result
from tests.routing.cache.conftest import Cache, written
from tests.routing.money import Clock, answer, ask, bill, rows, tracker
from tests.services.test_ledger_postgres import opened, run

pytestmark = pytest.mark.anyio

FUNCTIONS = """SELECT p.oid::regprocedure::text, pg_get_function_result(p.oid) FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'plenum'"""
COLUMNS = """SELECT table_name, column_name, data_type, is_nullable = 'YES' OR column_default IS NOT NULL
  FROM information_schema.columns WHERE table_schema = 'plenum' AND table_name NOT LIKE 'receipt_%'"""


@pytest.fixture
async def server(shared_postgres):
    await run(shared_postgres.url, "DROP SCHEMA IF EXISTS plenum CASCADE")
    return shared_postgres


@asynccontextmanager
async def of_version(number: int, url: str):
    """A replica whose code knew this schema."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(package, "MIGRATIONS", MIGRATIONS[:number])
        opening = opened(url)
        store = await opening.__aenter__()
    try:
        yield store
    finally:
        await opening.__aexit__(None, None, None)


async def spend(store, name: str) -> None:
    async with tracker(store, caps=[Cap("global", "day", 1.0)]).hold(bill(name)) as held:
        held.settle(answer())
    await store.ledger.reclaim().wait()


async def remember(store, name: str) -> None:
    async with Replay(store.archive, store.archive).flight(ask(name, request_id=name)) as flight:
        await flight.keep(Result(answer(), Receipt(name)))


@pytest.mark.parametrize("number", range(3, len(MIGRATIONS)))
async def test_what_an_older_version_left_is_brought_forward_with_all_that_is_in_it(server, number):
    async with of_version(number, server.url) as old:
        await spend(old, "old")
        await remember(old, "old")
        assert rows(old, "SELECT version FROM meta") == [(number,)]
    async with opened(server.url) as new:
        await spend(new, "new")
        assert rows(new, "SELECT version, needs FROM meta") == [(len(MIGRATIONS), NEEDS)]
        assert rows(new, "SELECT ask FROM attempt WHERE state = 1 ORDER BY ask") == [("new",), ("old",)]
        assert rows(new, "SELECT spent / 1000, held FROM budget") == [(2200, 0)]
        assert [record.id for record in await new.books.newest(5)] == ["old"]
        assert await new.archive.forget("old").wait() == 1


@pytest.mark.parametrize("number", range(3, len(MIGRATIONS)))
async def test_a_replica_of_before_goes_on_while_a_newer_one_updates_the_schema_under_it(server, number):
    async with of_version(number, server.url) as old, opened(server.url) as new:
        clock = Clock()
        for turn in range(3):
            await spend(old, f"old-{turn}")
            await spend(new, f"new-{turn}")
        cache = Cache(new, clock)
        replay = Replay(new.archive, new.archive, beneath=cache.recall, clock=clock)
        async with replay.flight(ask("shared")) as flight:
            await flight.keep(Result(answer("x"), Receipt("shared", caller="local", provider="a", model="m")))
        await written(new)
        await remember(old, "theirs")
        assert await old.archive.forget("shared").wait() == 1
        assert rows(new, "SELECT count(*) FROM response") == [(0,)]  # what the old one never heard of is forgotten too
        assert await old.archive.forget_before(clock.now + 1e6).wait() >= 1
        assert rows(new, "SELECT spent / 1000, held FROM budget") == [(6600, 0)]
    async with of_version(number, server.url) as old:  # started anew beside a newer schema, after a rollback say
        await spend(old, "again")
        assert rows(old, "SELECT version FROM meta") == [(len(MIGRATIONS),)]


async def test_old_and_new_together_never_pass_a_budget(server):
    async with of_version(3, server.url) as old, opened(server.url) as new:
        purses = [tracker(store, caps=[Cap("global", "day", 0.05)]) for store in (old, new)]
        granted = 0

        async def take(purse, name: str) -> None:
            nonlocal granted
            try:
                async with purse.hold(bill(name)) as held:
                    granted += 1
                    await anyio.sleep(0.05)
                    held.settle(answer())
            except BudgetExceeded:
                return

        async with anyio.create_task_group() as tasks:
            for number in range(120):
                tasks.start_soon(take, purses[number % 2], f"r{number}")
        await new.ledger.reclaim().wait()
        ((used, held),) = rows(new, "SELECT spent, held FROM budget")
        assert used + held <= 50_000_000 and granted >= 25


async def test_no_step_takes_away_what_an_older_version_calls_or_writes(server, monkeypatch):
    """Functions keep their arguments and results, columns their types; what is added to a table may be left out."""
    before: tuple[set, set] = set(), set()
    for number in range(1, len(MIGRATIONS) + 1):
        monkeypatch.setattr(package, "MIGRATIONS", MIGRATIONS[:number])
        await package.migrate(server.url)
        functions, columns = [set(await ask_server(server.url, sql)) for sql in (FUNCTIONS, COLUMNS)]
        assert before[0] <= functions and before[1] <= columns
        known = {table for table, *_ in before[1]}
        assert all(optional for table, _, _, optional in columns - before[1] if table in known)
        before = functions, columns


async def ask_server(url: str, sql: str) -> list[tuple]:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()
