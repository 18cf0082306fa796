"""PostgreSQL keeps every promise the file keeps: the same tests, on a real server; then what only a server can suffer."""

import json
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from pathlib import Path

import anyio
import pytest

from providers.types import Usage
from routing.costs.budgets import Cap
from routing.errors import BudgetExceeded
from routing.recall import Replay
from routing.store.audit import Happening
from routing.store.faults import StoreFault
from routing.store.ledger import Closing
from routing.store.marks import Mark
from routing.store.postgres import PostgresStore, postgres
from routing.store.postgres.schema import MIGRATIONS
from routing.store.tokens import Token
from routing.types import Receipt, Result
from tests.routing import test_recall, test_refusals
from tests.routing.costs import test_leases, test_reports, test_tracker
from tests.routing.money import Told, answer, ask, bill, dies, rows, spent, tracker
from tests.routing.store import test_trials

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]

for suite in (test_tracker, test_leases, test_recall, test_refusals, test_reports, test_trials):
    globals().update({name: test for name, test in vars(suite).items() if name.startswith("test_")})


class Reachable(PostgresStore):
    """A store whose server the tests may look into."""

    __slots__ = ("url",)


@asynccontextmanager
async def opened(url: str):
    async with postgres(url) as store:
        parts = (getattr(store, field.name) for field in fields(PostgresStore))
        shown = Reachable(*parts)
        object.__setattr__(shown, "url", url)
        yield shown


async def run(url: str, sql: str) -> None:
    import asyncpg

    db = await asyncpg.connect(url)
    try:
        await db.execute(sql)
    finally:
        await db.close()


@pytest.fixture
async def another(shared_postgres):
    await run(shared_postgres.url, "DROP SCHEMA IF EXISTS plenum CASCADE")
    return lambda: opened(shared_postgres.url)


@pytest.fixture
async def store(another):
    async with another() as found:
        yield found


@pytest.fixture
def another_store(another):
    return another


async def test_a_replica_not_heard_of_for_a_minute_is_dead_and_a_living_one_is_not(store, another):
    purse = tracker(store, 1.0)
    async with another() as other:
        theirs = tracker(other, 1.0)
        async with purse.hold(bill("mine")) as mine, theirs.hold(bill("theirs")) as held:
            assert await store.ledger.reclaim().wait() == 0
            dies(other)
            assert await store.ledger.reclaim().wait() == 1
            mine.settle(answer())
            held.settle(answer())  # it was not dead after all: what was booked stays booked
        await other.ledger.reclaim().wait()
    await store.ledger.reclaim().wait()
    assert spent(store) == (3100, 0)


async def test_what_became_known_after_all_replaces_what_was_booked_for_the_dead_once(store, another):
    purse, known = tracker(store, 1.0), Closing("settled", 1_100_000, "priced", ok=True)
    async with another() as other:
        await tracker(other, 1.0).book(bill("late"))
        dies(other)
        assert await store.ledger.reclaim().wait() == 1
        await purse.book(bill("open"))
        assert spent(store) == (2000, 2000)
        assert (await purse.amend("late", known).wait()).fresh
        assert (await purse.amend("open", Closing("released", 0, "estimated")).wait()).fresh
        assert not (await purse.amend("late", known).wait()).fresh
        assert not (await purse.amend("nobody", known).wait()).fresh
    assert spent(store) == (1100, 0)


async def test_one_bad_operation_does_not_take_its_batch_along(store):
    good = [store.writer.submit("SELECT plenum.used($1)", (str(n),), int) for n in range(5)]
    bad = store.writer.submit("SELECT 1 / $1::int", (0,), int)
    assert [await one.wait() for one in good] == [0] * 5
    with pytest.raises(StoreFault):
        await bad.wait()


async def test_the_schema_is_made_once_by_many_that_start_together(shared_postgres):
    await run(shared_postgres.url, "DROP SCHEMA IF EXISTS plenum CASCADE")
    async with anyio.create_task_group() as tasks:

        async def start() -> None:
            async with postgres(shared_postgres.url):
                pass

        for _ in range(8):
            tasks.start_soon(start)


async def test_a_newer_schema_is_used_only_if_it_says_this_version_can(store, another):
    await run(store.url, "UPDATE plenum.meta SET version = 77")
    async with another() as found:
        await found.ledger.reclaim().wait()
    await run(store.url, f"UPDATE plenum.meta SET needs = {len(MIGRATIONS) + 1}")
    with pytest.raises(StoreFault, match="newer Plenum"):
        async with another():
            pytest.fail("opened")


async def test_a_server_that_is_not_there_is_said_to_be_not_there(unused_tcp_port_of_nobody):
    with pytest.raises(StoreFault) as fault:
        async with postgres(f"postgresql://postgres@127.0.0.1:{unused_tcp_port_of_nobody}/postgres"):
            pytest.fail("opened")
    assert fault.value.state == "unreachable"


@pytest.fixture
def unused_tcp_port_of_nobody():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # bound, never listening: connections are refused
        yield probe.getsockname()[1]


async def test_two_replicas_write_one_audit_chain_that_can_be_verified(store, another):
    def happening(n: int) -> Happening:
        return Happening(1.5 * n, "me", "budget", f"line {n}", '{"ü": 1}')

    async with another() as other:
        numbers = [
            await pending.wait()
            for pending in [found.audit.append(happening(n)) for n in range(20) for found in (store, other)]
        ]
        other.audit.later(happening(99))
    assert sorted(numbers) == list(range(1, 41))
    verdict = await store.audit.verify()
    assert (verdict.lines, verdict.broken) == (41, 0)
    assert [line.number for line in await store.audit.lines(limit=2)] == [40, 41]
    with pytest.raises(Exception, match="append-only"):
        await run(store.url, "UPDATE plenum.audit SET who = 'nobody'")
    forged = "UPDATE plenum.audit SET who = 'x' WHERE number = 7"
    await run(store.url, f"ALTER TABLE plenum.audit DISABLE TRIGGER audit_stays; {forged}")
    assert (await store.audit.verify()).broken == 7


async def test_virtual_keys_are_known_to_every_replica_and_end_everywhere(store, another):
    token = Token("ci", b"h" * 32, ("generate",), ("sim/*",), daily_usd=1.5, rpm=7, created=10.0)
    assert await store.tokens.put(token).wait()
    assert store.tokens.by_hash(b"h" * 32) == token
    assert not await store.tokens.put(replace(token, hash=b"x" * 32)).wait()
    async with another() as other:
        assert other.tokens.all() == (token,)
        assert await other.tokens.revoke("ci", 20.0).wait() and not await other.tokens.revoke("ci", 21.0).wait()
        assert other.tokens.by_hash(b"h" * 32) is None
    await store.tokens.refresh()
    assert not store.tokens.by_hash(b"h" * 32).valid(30.0)
    assert await store.tokens.put(replace(token, hash=b"x" * 32, created=30.0)).wait()


async def test_a_second_mark_of_an_answer_replaces_the_first(store):
    first = Mark("a", "me", 1.0, True, "math", "t", 0.5, ("m1", "m2"), ("m3",))
    await store.marks.keep(first).wait()
    await store.marks.keep(replace(first, id="b", at=2.0, raw=None)).wait()
    await store.marks.keep(replace(first, right=False)).wait()
    assert list(await store.marks.all()) == [replace(first, right=False), replace(first, id="b", at=2.0, raw=None)]
    assert await store.marks.asker("nobody") is None


async def test_the_diary_lists_the_newest_of_all_or_of_one(store):
    recall = Replay(store.archive, store.archive)
    for number, caller in enumerate(["eve", "bob", "eve"]):
        recall.clock = lambda number=number: 1_795_262_400.0 + number
        async with recall.flight(ask(str(number), caller=caller)) as flight:
            await flight.keep(Result(answer(), Receipt(str(number))))
    assert [record.id for record in await store.books.newest(2)] == ["2", "1"]
    assert [record.id for record in await store.books.newest(9, "eve")] == ["2", "0"]
    held = rows(store, "SELECT max(octet_length(body) + octet_length(answer) + octet_length(turn)) FROM receipt")[0][0]
    assert await store.archive.trim(2 * held).wait() == 1
    assert [record.id for record in await store.books.newest(9)] == ["2", "1"]


async def test_what_is_too_old_or_too_much_goes_beside_running_calls(store):
    recall = Replay(store.archive, store.archive)
    for number, at in enumerate([1_760_000_000.0, 1_795_262_400.0, 1_795_262_401.0, 1_795_262_402.0]):
        recall.clock = lambda at=at: at
        async with recall.flight(ask(str(number))) as flight:
            await flight.keep(Result(answer(), Receipt(str(number))))
    held = rows(store, "SELECT max(octet_length(body) + octet_length(answer) + octet_length(turn)) FROM receipt")[0][0]
    assert await store.retention.thin(2 * held, 1_790_000_000.0, 1) == 2
    assert [record.id for record in await store.books.newest(9)] == ["3", "2"]
    assert await store.retention.thin(2 * held, 1_790_000_000.0, 1) == 0


async def test_months_are_partitions_and_forgetting_drops_them(store):
    recall = Replay(store.archive, store.archive)
    for name, at in (("old", 1_760_000_000.0), ("mid", 1_790_000_000.0), ("new", 1_795_262_400.0)):
        recall.clock = lambda at=at: at
        async with recall.flight(ask(name, request_id=name)) as flight:
            await flight.keep(Result(answer(), Receipt(name)))
    parts = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'plenum.receipt'::regclass"
    assert rows(store, parts) == [(4,)]
    assert await store.archive.forget_before(1_795_000_000.0).wait() == 2
    assert rows(store, parts) == [(2,)]
    assert rows(store, "SELECT id FROM receipt") == [("new",)]
    assert await store.archive.forget("new").wait() == 1
    async with recall.flight(ask("again", request_id="again")) as flight:
        await flight.keep(Result(answer(), Receipt("again")))
    assert rows(store, "SELECT id FROM receipt") == [("again",)]


async def test_a_server_killed_under_load_comes_back_with_everything_that_was_acknowledged(own_postgres):
    told = Told()
    async with opened(own_postgres.url) as store:
        purse, done, slowest = tracker(store, 1e6, observer=told), [], 0.0

        async def caller(task: int) -> None:
            nonlocal slowest
            for n in range(40):
                name, began = f"{task}-{n}", anyio.current_time()
                try:
                    async with purse.hold(bill(name)) as held:
                        held.settle(answer())
                except BudgetExceeded:  # refused while the server is away: nothing was sent
                    continue
                await store.ledger.reclaim().wait()
                slowest = max(slowest, anyio.current_time() - began)
                done.append(name)

        async with anyio.create_task_group() as tasks:
            for task in range(16):
                tasks.start_soon(caller, task)
            await anyio.sleep(0.2)
            own_postgres.kill()
            await anyio.to_thread.run_sync(own_postgres.start)
        await store.ledger.reclaim().wait()
        booked = {name for (name,) in rows(store, "SELECT ask FROM attempt WHERE state = 1")}
        assert booked.issuperset(done) and len(done) > 300
        assert rows(store, "SELECT count(*) FROM attempt WHERE state = 0") == [(0,)]
        ((total,),) = rows(store, "SELECT sum(cost) FROM attempt")
        assert rows(store, "SELECT spent, held FROM budget") == [(total, 0)]
        assert slowest < 12


async def test_a_server_that_stays_away_refuses_instead_of_hanging(own_postgres):
    async with opened(own_postgres.url) as store:
        purse = tracker(store, 1.0)
        own_postgres.kill()
        with anyio.fail_after(15), pytest.raises(BudgetExceeded, match="cannot be reached"):
            async with purse.hold(bill()):
                pytest.fail("spent what could not be booked")
        await anyio.to_thread.run_sync(own_postgres.start)
        async with purse.hold(bill("after")) as held:
            held.settle(answer())
        await store.ledger.reclaim().wait()
        assert spent(store) == (1100, 0)


async def raced(url: str, calls: int, *leases: str) -> None:
    """Four replicas take what half a dollar gives; one of them is killed after so many calls."""
    await run(url, "DROP SCHEMA IF EXISTS plenum CASCADE")
    racer = [sys.executable, "-m", "tests.services.racer", url, "race"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT, "env": dict(os.environ)}
    processes = [subprocess.Popen([*racer, f"p{n}", "0.5", *leases], **pipes) for n in range(4)]
    async with opened(url) as store:
        for process in processes:
            assert await anyio.to_thread.run_sync(process.stdout.readline) == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        with anyio.fail_after(30):
            while (rows(store, "SELECT count(*) FROM attempt") or [(0,)])[0][0] < calls:
                await anyio.sleep(0.01)
        processes[0].send_signal(signal.SIGKILL)
        for process in processes:
            await anyio.to_thread.run_sync(process.communicate)


async def test_four_replicas_one_of_them_killed_never_pass_a_budget(shared_postgres):
    await raced(shared_postgres.url, 50)
    async with opened(shared_postgres.url) as store:
        purse = tracker(store, caps=[Cap("global", "day", 0.5)])
        ((used, held),) = rows(store, "SELECT spent, held FROM budget")
        assert used + held == 500_000_000
        with pytest.raises(BudgetExceeded):
            async with purse.hold(bill()):
                pytest.fail("the budget was passed")


async def test_four_replicas_on_leases_one_of_them_killed_never_pass_a_budget(shared_postgres):
    await raced(shared_postgres.url, 250, "leases")
    async with opened(shared_postgres.url) as store:
        ((used, held),) = rows(store, "SELECT spent, held FROM budget")
        assert used + held <= 500_000_000
        counted = (
            "SELECT sum(cost) FILTER (WHERE state > 0), coalesce(sum(held) FILTER (WHERE state = 0), 0) FROM attempt"
        )
        assert rows(store, counted) == [(used, held)]
        purse = tracker(store, caps=[Cap("global", "day", 0.5)])
        for n in range((500_000_000 - used - held) // 1_000_000):  # what the living gave back is there to be spent
            async with purse.hold(bill(f"rest{n}", tokens=(1000, 0))) as last:
                last.settle(answer(usage=Usage(input=1000)))
        with pytest.raises(BudgetExceeded):
            async with purse.hold(bill(tokens=(1000, 0))):
                pytest.fail("the budget was passed")


async def test_an_argument_the_server_cannot_take_fails_alone(store):
    good = store.writer.submit("SELECT plenum.used($1)", ("a",), int)
    bad = store.writer.submit("SELECT plenum.used($1)", ("nul \0 in a text",), int)
    worse = store.writer.submit("SELECT plenum.used($1)", (5,), int)
    assert await good.wait() == 0
    for pending in (bad, worse):
        with pytest.raises(StoreFault):
            await pending.wait()


async def test_a_whole_plenum_runs_on_it(shared_postgres, tmp_path):
    await run(shared_postgres.url, "DROP SCHEMA IF EXISTS plenum CASCADE")
    env = os.environ | {"PLENUM_STORE_URL": shared_postgres.url, "PLENUM_HOME": str(tmp_path)}
    plenum = [sys.executable, "-m", "server"]
    asked = await anyio.run_process([*plenum, "ask", "one", "--demo", "--model", "sim/fast"], env=env, cwd=ROOT)
    assert b"[simulated]" in asked.stdout
    found = await anyio.run_process([*plenum, "costs", "--demo", "--json"], env=env, cwd=ROOT)
    report = json.loads(found.stdout)
    assert (report["calls"], report["groups"][0]["key"]) == (1, "sim")
    assert report["budgets"][0]["spent_usd"] == report["total_usd"] > 0
