"""The audit log: appended to by all, changed by nobody unnoticed."""

from pathlib import Path

import anyio
import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.store.audit import GENESIS, AuditLine, Happening, chained, judged
from routing.store.sqlite import sqlite

pytestmark = pytest.mark.anyio


def line(number: int) -> Happening:
    return Happening(1000.0 + number, "ann", "key set", f"provider-{number}", '{"v": 1}')


def chain(count: int) -> list[AuditLine]:
    found, before = [], GENESIS
    for number in range(1, count + 1):
        before = chained(before, number, line(number))
        found.append(AuditLine(number, line(number), before))
    return found


def test_a_whole_chain_holds() -> None:
    verdict = judged(chain(5), chain(5)[-1].hash)
    assert (verdict.lines, verdict.broken, verdict.head) == (5, 0, chain(5)[-1].hash)
    assert judged([], GENESIS).broken == 0


@given(st.data())
def test_whatever_is_changed_taken_out_or_swapped_is_noticed(data) -> None:
    lines = chain(8)
    at = data.draw(st.integers(0, 7))
    how = data.draw(st.sampled_from(["who", "what", "subject", "detail", "at", "drop", "swap"]))
    if how == "drop":
        del lines[at]
    elif how == "swap":
        other = (at + 1) % 8
        lines[at], lines[other] = lines[other], lines[at]
    else:
        told = {f: getattr(lines[at].happening, f) for f in ("at", "who", "what", "subject", "detail")}
        told[how] = told[how] + 1 if how == "at" else told[how] + "x"
        lines[at] = AuditLine(lines[at].number, Happening(**told), lines[at].hash)
    assert judged(lines, chain(8)[-1].hash).broken > 0


async def test_lines_of_many_writers_make_one_chain_without_gaps(tmp_path: Path) -> None:
    path = tmp_path / "plenum.db"
    async with sqlite(path) as one, sqlite(path) as two, anyio.create_task_group() as tasks:
        for number in range(40):
            tasks.start_soon((one, two)[number % 2].audit.append(line(number)).wait)
    async with sqlite(path) as store:
        verdict = await store.audit.verify()
        assert (verdict.lines, verdict.broken) == (40, 0)
        assert [found.number for found in await store.audit.lines(since=30, limit=5)] == [36, 37, 38, 39, 40]


async def test_the_table_itself_refuses_to_be_changed(tmp_path: Path) -> None:
    path = tmp_path / "plenum.db"
    async with sqlite(path) as store:
        await store.audit.append(line(1)).wait()
    db = apsw.Connection(str(path))
    for statement in ("UPDATE audit SET who = 'bob'", "DELETE FROM audit"):
        with pytest.raises(apsw.ConstraintError):
            db.execute(statement)
    db.close()


@pytest.mark.parametrize(
    ("tampering", "why"),
    [
        ("UPDATE audit SET who = 'bob' WHERE number = 2", "line 2 was changed"),
        ("DELETE FROM audit WHERE number = 2", "line 2 is missing"),
        ("DELETE FROM audit WHERE number = 3", "lines after 2 were removed"),
    ],
)
async def test_who_edits_the_file_is_found_out(tmp_path: Path, tampering: str, why: str) -> None:
    path = tmp_path / "plenum.db"
    async with sqlite(path) as store:
        for number in range(1, 4):
            await store.audit.append(line(number)).wait()
    db = apsw.Connection(str(path))
    db.execute("DROP TRIGGER audit_stays; DROP TRIGGER audit_keeps")
    db.execute(tampering)
    db.close()
    async with sqlite(path) as store:
        assert (await store.audit.verify()).why == why
