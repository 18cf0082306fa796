"""From events to evidence: who loops fills no log, and nothing that happened is left out of the count."""

import json
from pathlib import Path

import anyio
import pytest

from routing.events import BudgetAlert, Failed
from routing.store.sqlite import sqlite
from routing.types import Receipt
from server.cli.audit import described
from server.security.watch import MOST, STRETCH_S, Watch

pytestmark = pytest.mark.anyio


class Book:
    """An audit log in memory."""

    def __init__(self) -> None:
        self.told: list[tuple] = []

    def later(self, line) -> None:
        self.told.append((line.who, line.what, line.subject, json.loads(line.detail)))


def refused(number: int, caller: str = "ann", code: str = "policy") -> Failed:
    return Failed(f"a{number}", code, Receipt(f"a{number}", caller=caller))


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def watch(book: Book, clock) -> Watch:
    return Watch(book, clock)


def test_what_a_caller_is_refused_again_and_again_is_one_line_a_minute_that_says_how_often(watch, book, clock) -> None:
    for number in range(3000):
        watch(refused(number))
    clock.now += STRETCH_S - 1
    watch.settle()
    assert book.told == [("ann", "refused", "a0", {"code": "policy"})]
    clock.now += 1
    watch.settle()
    assert book.told[1:] == [("ann", "refused", "a2999", {"code": "policy", "count": 2999, "seconds": 60})]
    watch(refused(3000))
    assert len(book.told) == 2  # it goes on: told at the end of its minute
    clock.now += STRETCH_S
    watch.settle()
    assert book.told[2:] == [("ann", "refused", "a3000", {"code": "policy", "count": 1, "seconds": 60})]


def test_after_a_quiet_minute_a_refusal_is_told_at_once_again(watch, book, clock) -> None:
    watch(refused(1))
    clock.now += STRETCH_S
    watch.settle()
    watch(refused(2))
    assert [line[2] for line in book.told] == ["a1", "a2"]


def test_other_callers_and_other_reasons_are_other_lines(watch, book) -> None:
    watch(refused(1))
    watch(refused(2, "bob"))
    watch(refused(3, code="budget_exceeded"))
    assert [line[0] + " " + line[3]["code"] for line in book.told] == [
        "ann policy",
        "bob policy",
        "ann budget_exceeded",
    ]


def test_a_caller_under_ever_new_names_fills_no_log_either(watch, book, clock) -> None:
    for number in range(5000):
        watch(refused(number, f"caller {number}"))
    watch.settle(every=True)
    assert len(book.told) == MOST + 2
    assert book.told[-1] == ("others", "refused", "a4999", {"code": "policy", "count": 4999 - MOST, "seconds": 0})


def test_a_budget_overrun_by_every_call_is_a_line_a_minute(watch, book, clock) -> None:
    for share in (1.1, 1.2, 1.3):
        watch(BudgetAlert("global", "day", share, share * 10, 10.0))
    watch.settle(every=True)
    told = {"period": "day", "share": 1.3, "count": 2, "seconds": 0}
    assert [line[3] for line in book.told] == [{"period": "day", "share": 1.1}, told]


async def test_the_counted_lines_are_in_the_chain_and_it_holds(tmp_path: Path, clock) -> None:
    async with sqlite(tmp_path / "plenum.db") as store:
        watch = Watch(store.audit, clock)
        for number in range(1000):
            watch(refused(number))
        watch.settle(every=True)
        with anyio.fail_after(5):
            verdict, lines = await store.audit.verify(), await store.audit.lines()
    assert (verdict.lines, verdict.broken) == (2, 0)
    assert '"count": 999' in described(lines[-1])["detail"]
