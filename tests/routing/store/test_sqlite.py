"""The file: one for all processes, private, current, and in a clear state when its disk or its past is bad."""

import os
import stat
from pathlib import Path

import anyio
import apsw
import pytest

from providers.types import Usage
from routing.errors import BudgetExceeded
from routing.events import StoreFailed
from routing.recall import Replay
from routing.store.archive import Record
from routing.store.audit import Happening
from routing.store.cache import Bounds, Row
from routing.store.faults import ADVICE, Declined, StoreFault
from routing.store.ledger import Closing
from routing.store.sqlite import sqlite
from routing.store.sqlite.connection import NETWORK, SAFE_SQLITE, file_system, refuse_network
from routing.store.sqlite.schema import MIGRATIONS
from routing.types import Receipt, Result
from tests.routing.money import NOON, Clock, Told, answer, ask, bill, rows, spent, tracker

pytestmark = pytest.mark.anyio


def limit_pages(store, pages: int):
    return store.writer.submit(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").get).wait()


async def test_sqlite_has_the_wal_reset_fix():
    assert tuple(map(int, apsw.sqlite_lib_version().split("."))) >= SAFE_SQLITE


async def test_the_file_is_private_durable_and_at_the_newest_schema(store):
    assert stat.S_IMODE(os.stat(store.path).st_mode) == 0o600
    read = lambda pragma: store.writer.submit(lambda db: db.execute(f"PRAGMA {pragma}").get).wait()
    assert [await read(p) for p in ("journal_mode", "synchronous", "user_version")] == ["wal", 2, len(MIGRATIONS)]


async def test_many_operations_share_one_commit(store):
    before = store.writer.transactions
    async with anyio.create_task_group() as tasks:
        for _ in range(400):
            tasks.start_soon(store.writer.submit(lambda db: db.execute("SELECT 1").get).wait)
    assert store.writer.transactions - before < 40


async def test_one_bad_operation_does_not_take_its_batch_along(store):
    def bad(db):
        db.execute("INSERT INTO meta VALUES('left', 'behind')")
        raise Declined

    def good(n):
        return lambda db: db.execute("INSERT INTO meta VALUES(?, '')", (f"k{n}",)) and None

    pendings = [store.writer.submit(bad if n == 7 else good(n)) for n in range(20)]
    pendings.append(store.writer.submit(good(3)))  # the same key twice: the database's own refusal
    pendings.append(store.writer.submit(lambda db: 1 / 0))
    failed = []
    for pending in pendings:
        try:
            await pending.wait()
        except Exception as error:
            failed.append(type(error))
    assert failed == [Declined, StoreFault, ZeroDivisionError]
    assert rows(store, "SELECT count(*), sum(key = 'left') FROM meta WHERE key LIKE 'k%' OR key = 'left'") == [(19, 0)]


async def test_what_may_wait_goes_together_after_a_moment_or_before_what_hurries(store):
    done = anyio.Event()
    home = __import__("asyncio").get_running_loop()
    before = store.writer.transactions
    for n in range(50):
        store.writer.later(lambda db, n=n: db.execute("INSERT INTO meta VALUES(?, '1')", (f"ride{n}",)))
    store.writer.later(lambda db: home.call_soon_threadsafe(done.set))
    with anyio.fail_after(30):
        await done.wait()
        await store.writer.submit(lambda db: None).wait()
    assert store.writer.transactions - before == 2
    assert rows(store, "SELECT count(*) FROM meta WHERE key LIKE 'ride%'") == [(50,)]
    store.writer.later(lambda db: db.execute("DELETE FROM meta WHERE key = 'ride7'"))
    store.writer.hurry()
    found = await store.writer.submit(lambda db: db.execute("SELECT count(*) FROM meta WHERE key = 'ride7'").get).wait()
    assert found == 0


async def test_what_is_written_together_is_written_once_whatever_breaks_beside_it(store):
    await store.archive.keep(Record("r", "me", 1.0, "key", b"j{}", b"j{}")).wait()
    await store.archive.keep(Record("s", "me", 1.0, "key", b"j{}", b"j{}")).wait()
    row, bounds = Row("k", "me", "r", 1.0, b"body").sealed(), Bounds(2, 1 << 20)
    for _ in range(3):
        store.books.count("hit", nano=5, value=0.5)
        store.archive.deliver("r", reached=True)
        store.archive.deliver("s", reached=True)
        store.responses.keep(row, [], bounds)
        store.responses.drop("k")
    store.archive.deliver("r", reached=False)
    store.writer.later(lambda db: 1 / 0)
    store.responses.keep(row, [], bounds)
    store.books.count("miss")
    await store.writer.settled()
    assert rows(store, "SELECT kind, count, nano, value FROM tally ORDER BY 1") == [
        ("hit", 3, 15, 1.5),
        ("miss", 1, 0, 0.0),
    ]
    assert rows(store, "SELECT id, delivered FROM receipt ORDER BY 1") == [("r", 0), ("s", 1)]
    assert await store.responses.read("k") == row
    store.books.count("hit")
    await store.writer.settled()
    assert rows(store, "SELECT count FROM tally WHERE kind = 'hit'") == [(4,)]


async def test_what_is_forgotten_is_not_brought_back_by_a_copy_that_waited(store):
    receipt = "INSERT INTO response(key, caller, receipt, at, used, body, seal) VALUES('k', 'me', 'r', 1, 1, x'', x'')"
    await store.archive.keep(Record("r", "me", 1.0, "key", b"j{}")).wait()
    store.writer.later(lambda db: db.execute(receipt))
    assert await store.archive.forget("r").wait() == 1
    await store.writer.settled()
    assert rows(store, "SELECT count(*) FROM response") == [(0,)]


async def test_the_log_has_what_was_put_off_for_whoever_reads_or_verifies_it(store):
    for number in range(3):
        store.audit.later(Happening(float(number), "me", "refused", "budget", ""))
        assert len(await store.audit.lines()) == number + 1
    store.audit.later(Happening(3.0, "me", "refused", "budget", ""))
    assert (await store.audit.verify()).lines == 4


async def test_closing_writes_what_is_queued(tmp_path: Path):
    path = tmp_path / "p.db"
    async with sqlite(path) as store:
        for n in range(1500):
            store.writer.submit(lambda db, n=n: db.execute("INSERT INTO meta VALUES(?, '')", (f"k{n}",)))
        store.writer.later(lambda db: db.execute("INSERT INTO meta VALUES('kz', '')"))
    assert rows(path, "SELECT count(*) FROM meta WHERE key LIKE 'k%'") == [(1501,)]
    assert list(path.with_name("p.db.owners").iterdir()) == []
    with pytest.raises(StoreFault, match="shutting down"):
        await store.writer.submit(lambda db: None).wait()


async def test_a_full_disk_refuses_calls_settles_open_ones_and_heals(store):
    told = Told()
    purse = tracker(store, 1e6, observer=told)
    pages = await store.writer.submit(lambda db: db.execute("PRAGMA page_count").get).wait()
    async with purse.hold(bill("first")) as held:
        await limit_pages(store, pages + 3)
        with pytest.raises(BudgetExceeded, match="disk holding Plenum's ledger is full") as refused:
            for n in range(5_000):
                async with purse.hold(bill(str(n))) as other:
                    other.settle(answer())
        assert "Free some space" in refused.value.hint
        assert {event.state for event in told.of(StoreFailed)} == {"full"}
        held.settle(answer())
    await limit_pages(store, 10**6)
    async with purse.hold(bill("after")) as held:
        held.settle(answer())
    await store.ledger.reclaim().wait()
    await store.ledger.reclaim().wait()
    assert purse.unsettled == {}
    assert rows(store, "PRAGMA integrity_check") == [("ok",)]
    assert rows(store, "SELECT count(*) FROM attempt WHERE state = 0") == [(0,)]
    assert spent(store) == (rows(store, "SELECT sum(cost) / 1000 FROM attempt")[0][0], 0)


async def test_a_settlement_that_cannot_be_written_keeps_its_hold_and_is_tried_again(store):
    purse = tracker(store, 1.0)
    async with purse.hold(bill("a")) as held:
        await store.writer.submit(
            lambda db: db.execute("CREATE TRIGGER no BEFORE UPDATE ON attempt BEGIN SELECT RAISE(ABORT, 'no'); END")
        ).wait()
        cost = held.settle(answer())
    await store.ledger.reclaim().wait()
    assert cost.usd == 0.0011
    assert spent(store) == (0, 2000) and len(purse.unsettled) == 1
    await store.writer.submit(lambda db: db.execute("DROP TRIGGER no")).wait()
    async with purse.hold(bill("b")) as held:
        held.settle(answer())
    await store.ledger.reclaim().wait()
    assert spent(store) == (2200, 0) and purse.unsettled == {}


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser writes to read-only folders")
async def test_a_read_only_folder_is_said_to_be_one(tmp_path: Path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreFault) as fault:
            async with sqlite(tmp_path / "sub" / "p.db"):
                pytest.fail("opened")
    finally:
        tmp_path.chmod(0o700)
    assert fault.value.state == "read_only" and "writable" in fault.value.hint


async def test_a_folder_that_cannot_be_made_is_said_to_be_one(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreFault) as fault:
        async with sqlite(tmp_path / "file" / "p.db"):
            pytest.fail("opened")
    assert fault.value.state == "read_only"
    assert str(tmp_path) not in f"{fault.value} {fault.value.hint}"


async def test_a_file_that_turns_read_only_refuses_calls_and_says_so(store):
    purse = tracker(store, 1.0)
    await store.writer.submit(lambda db: db.execute("PRAGMA query_only = 1").get).wait()
    with pytest.raises(BudgetExceeded, match="cannot be written"):
        async with purse.hold(bill()):
            pytest.fail("spent what could not be booked")


@pytest.mark.parametrize("damage", ["no database at all, just words " * 200, ""])
async def test_a_damaged_file_is_never_replaced_silently(tmp_path: Path, damage: str):
    path = tmp_path / "p.db"
    if damage:
        path.write_text(damage)
    else:  # a torn page in the middle of a real one
        async with sqlite(path) as store:
            purse = tracker(store, 1e6)
            for n in range(200):
                async with purse.hold(bill(str(n))) as held:
                    held.settle(answer())
        content = bytearray(path.read_bytes())
        content[:4096] = bytes(4096)
        path.write_bytes(content)
        damage = content.decode("latin-1")
    before = path.read_bytes()
    with pytest.raises(StoreFault) as fault:
        async with sqlite(path):
            pytest.fail("opened")
    assert fault.value.state == "corrupt" and "backup" in fault.value.hint
    assert path.read_bytes() == before


async def test_an_older_file_is_migrated_and_keeps_what_it_holds(tmp_path: Path):
    path = tmp_path / "p.db"
    db = apsw.Connection(str(path))
    db.execute(MIGRATIONS[0])
    db.execute("PRAGMA user_version = 1")
    db.execute("""INSERT INTO attempt(owner, state, at, ask, number, caller, task, provider, model, asked, servers,
      simulated, held, cost) VALUES('o', 1, 1.0, 'a', 1, 'c', '', 'p', 'm', 'auto', '', 0, 5, 4)""")
    db.close()
    async with sqlite(path):
        assert rows(path, "SELECT cost, prefix, history, computed FROM attempt") == [(4, "", 0, None)]
        assert rows(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]


async def test_receipts_of_an_older_file_stay_and_a_process_of_the_older_version_goes_on_with_it(tmp_path: Path):
    path = tmp_path / "p.db"
    db = apsw.Connection(str(path))
    db.execute("PRAGMA journal_mode = WAL")
    for script in MIGRATIONS[:8]:
        db.execute(script)
    db.execute("PRAGMA user_version = 8")
    keep = """INSERT OR REPLACE INTO receipt(id, caller, at, key, body, answer, turn, request_id, parent, delivered)
      VALUES(?, 'me', ?, 'k', x'00', x'01', NULL, ?, NULL, ?)"""
    db.executemany(keep, [("a", 1.0, "r", 0), ("b", 3.0, None, 1), ("c", 2.0, None, 0)])
    async with sqlite(path) as store:
        kept = Record("a", "me", 1.0, "k", b"\0", b"\1", request_id="r", delivered=False)
        assert await store.archive.read("a", "me") == kept
        found = await store.archive.undelivered("me", "k", 0.0)
        assert found is not None and found.id == "c"
        db.execute(keep, ("a", 4.0, "again", 0))  # by the connection that was open all along
        found = await store.archive.undelivered("me", "k", 0.0)
        assert (found.id, found.request_id) == ("a", "again")
        assert [record.id for record in await store.books.newest(9)] == ["a", "b", "c"]
        db.close()


@pytest.mark.parametrize(("needs", "opens"), [("1", True), ("99", False), (None, False)])
async def test_a_newer_file_is_used_only_if_it_says_this_version_can(tmp_path: Path, needs, opens):
    path = tmp_path / "p.db"
    async with sqlite(path) as store:
        await store.writer.submit(lambda db: db.execute("PRAGMA user_version = 77").get).wait()
        change = "DELETE FROM meta" if needs is None else f"UPDATE meta SET value = '{needs}'"
        await store.writer.submit(lambda db: db.execute(change) and None).wait()
    if opens:
        async with sqlite(path) as store:
            await store.ledger.reclaim().wait()
        return
    with pytest.raises(StoreFault, match="newer Plenum"):
        async with sqlite(path):
            pytest.fail("opened")


def test_network_folders_are_refused(tmp_path: Path):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw - ext4 /dev/sda rw\n"
        f"40 22 0:30 / {tmp_path}/net rw - nfs4 server:/x rw\n"
        f"41 22 0:31 / {tmp_path}/net/local\\040disk rw - tmpfs none rw\n"
    )
    assert file_system(tmp_path / "net" / "deep", mounts) in NETWORK
    assert file_system(tmp_path / "network", mounts) == "ext4"
    assert file_system(tmp_path / "net" / "local disk" / "x", mounts) == "tmpfs"
    refuse_network(tmp_path)
    with pytest.raises(StoreFault) as fault:
        refuse_network(Path("\\\\server\\share"))
    assert fault.value.state == "network"


def test_every_state_has_words_and_a_next_step():
    for state in ADVICE:
        fault = StoreFault(state, "detail")
        assert str(fault) and fault.hint and "detail" not in str(fault)


async def test_only_the_dead_are_reclaimed_at_what_they_held(store, tmp_path: Path):
    purse = tracker(store, 1.0)
    async with sqlite(store.path) as other:
        theirs = tracker(other, 1.0)
        async with purse.hold(bill("mine")) as mine, theirs.hold(bill("theirs")) as held:
            assert await store.ledger.reclaim().wait() == 0
            other.owner.close()  # what the kernel does when a process is killed
            assert await store.ledger.reclaim().wait() == 1
            mine.settle(answer())
            held.settle(answer())  # it was not dead after all: what was booked stays booked
        await other.ledger.reclaim().wait()
        await store.ledger.reclaim().wait()
    assert spent(store) == (2000 + 1100, 0)
    assert rows(store, "SELECT ask, state, cost / 1000 FROM attempt ORDER BY 1") == [
        ("mine", 1, 1100),
        ("theirs", 3, 2000),
    ]


async def test_what_became_known_after_all_replaces_what_was_booked_for_the_dead_once(store):
    purse = tracker(store, 1.0)
    known = Closing("settled", 1_100_000, "priced", ok=True)
    async with sqlite(store.path) as other:
        await tracker(other, 1.0).book(bill("late"))
        other.owner.close()
        assert await store.ledger.reclaim().wait() == 1
        await purse.book(bill("open"))
        assert spent(store) == (2000, 2000)
        assert (await purse.amend("late", known).wait()).fresh
        assert (await purse.amend("open", Closing("released", 0, "estimated")).wait()).fresh
        assert not (await purse.amend("late", known).wait()).fresh
        assert not (await purse.amend("nobody", known).wait()).fresh
    assert spent(store) == (1100, 0)
    assert rows(store, "SELECT ask, state, cost / 1000 FROM attempt ORDER BY 1") == [("late", 1, 1100), ("open", 2, 0)]


async def test_the_running_sums_are_what_the_attempts_add_up_to(store):
    purse = tracker(store, 1.0)
    for n in range(30):
        async with purse.hold(bill(str(n), caller=f"c{n % 3}")) as held:
            held.settle(answer(usage=Usage(input=n + 1, output=n)))
    await store.ledger.reclaim().wait()
    ((total,),) = rows(store, "SELECT sum(cost) FROM attempt")
    assert rows(store, "SELECT spent, held FROM budget") == [(total, 0)]


async def test_an_attempt_is_settled_by_the_first_who_says_so_and_only_once(store):
    purse = tracker(store, 1.0)
    async with purse.hold(bill()) as held:
        held.settle(answer())
    await store.ledger.reclaim().wait()
    again = await store.ledger.settle(1, Closing("settled", 10**9, "priced"), purse.plan.limits).wait()
    assert not again.fresh
    assert spent(store) == (1100, 0)


async def test_forgetting_takes_texts_and_receipts_and_leaves_the_money(store):
    recall = Replay(store.archive, store.archive, clock=Clock())
    purse = tracker(store, 1.0)
    for name in ("old", "new"):
        recall.clock.now = NOON - 86_400 * 40 if name == "old" else NOON
        async with recall.flight(ask(name, request_id=name)) as flight, purse.hold(bill(name)) as held:
            held.settle(answer())
            await flight.keep(Result(answer("secret"), Receipt(name)))
    assert await store.archive.forget_before(NOON - 86_400 * 30).wait() == 1
    assert rows(store, "SELECT id FROM receipt") == [("new",)] == rows(store, "SELECT done FROM claim")
    assert await store.archive.forget("new").wait() == 1
    assert rows(store, "SELECT count(*) FROM receipt") == [(0,)]
    assert spent(store) == (2200, 0)
