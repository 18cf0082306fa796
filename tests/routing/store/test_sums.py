"""Budgets are added up in memory between two commits: what one process, one batch or one broken step does, all see."""

import pytest

from routing.costs.budgets import Cap, Plan
from routing.store.faults import StoreFault
from routing.store.ledger import Closing, Entry, OverBudget
from routing.store.sqlite import SqliteStore, sqlite
from tests.routing.money import NOON, rows

pytestmark = pytest.mark.anyio
PLAN = Plan((Cap("global", "day", 0.00001), Cap("task:t", "day", 1.0)), zone="UTC")  # 10,000 nano-dollars a day
PAID = Closing("settled", 300, "priced", ok=True)


def entry(ask: str, held: int = 1000, at: float = NOON, task: str = "") -> Entry:
    return Entry(ask, 1, "alpha", "m1", "me", task, held, at)


def booked(store: SqliteStore) -> list[tuple]:
    """By window: what the running sums say, beside what the attempts add up to."""
    return rows(
        store,
        """SELECT scope, spent, held, (SELECT sum(coalesce(cost, 0)) FROM attempt WHERE at >= starts AND at < ends),
             (SELECT sum(CASE state WHEN 0 THEN held ELSE 0 END) FROM attempt WHERE at >= starts AND at < ends)
           FROM budget ORDER BY scope, starts""",
    )


async def outcomes(pendings) -> list[object]:
    found = []
    for pending in pendings:
        try:
            found.append(await pending.wait())
        except Exception as error:
            found.append(type(error))
    return found


async def test_reservations_of_one_batch_count_each_other_and_a_broken_step_leaves_nothing(store):
    def broken(db):
        db.execute("INSERT INTO meta VALUES('left', 'behind')")
        raise ZeroDivisionError

    asked = [store.ledger.reserve(entry(f"a{n}"), PLAN.limits) for n in range(6)]
    asked.append(store.writer.submit(broken))
    asked += [store.ledger.reserve(entry(f"b{n}"), PLAN.limits) for n in range(6)]
    asked.append(store.ledger.reserve(entry("t", held=1, task="t"), PLAN.limits))
    found = await outcomes(asked)
    assert [one for one in found if isinstance(one, type)] == [ZeroDivisionError, OverBudget, OverBudget, OverBudget]
    assert booked(store) == [("global", 0, 10_000, 0, 10_000)], "the last one found no room in a window just opened"
    assert rows(store, "SELECT count(*) FROM meta WHERE key = 'left'") == [(0,)]


async def test_a_hold_and_its_settlement_in_one_batch_with_a_broken_step_move_once(store):
    first = await store.ledger.reserve(entry("first"), PLAN.limits).wait()
    asked = [
        store.ledger.settle(first.id, PAID, PLAN.limits),
        store.ledger.settle(first.id, PAID, PLAN.limits),
        store.ledger.reserve(entry("second", task="t"), PLAN.limits),
        store.writer.submit(lambda db: 1 / 0),
        store.ledger.settle(first.id, PAID, PLAN.limits),
    ]
    first_time, again, *_, later = await outcomes(asked)
    assert (first_time.fresh, again.fresh, later.fresh) == (True, False, False)
    assert [(s.spent, s.held) for s in first_time.standings] == [(300, 0)]
    assert booked(store) == [("global", 300, 1000, 300, 1000), ("task:t", 0, 1000, 300, 1000)]


async def test_what_another_process_books_counts_at_once_in_both_directions(store):
    async with sqlite(store.path) as other:
        for n in range(5):
            mine = await store.ledger.reserve(entry(f"m{n}"), PLAN.limits).wait()
            theirs = await other.ledger.reserve(entry(f"t{n}"), PLAN.limits).wait()
            assert [s.held for s in mine.standings] == [1000 * (2 * n + 1)]
            assert [s.held for s in theirs.standings] == [1000 * (2 * n + 2)]
        for ledger in (store.ledger, other.ledger):
            with pytest.raises(OverBudget) as over:
                await ledger.reserve(entry("more"), PLAN.limits).wait()
            assert over.value.room == 0
        await store.ledger.settle(1, PAID, PLAN.limits).wait()
        assert (await other.ledger.reserve(entry("fits", held=700), PLAN.limits).wait()).standings[0].held == 9700
    assert booked(store) == [("global", 300, 9700, 300, 9700)]


async def test_a_window_that_another_plan_opened_is_kept_current_too(store):
    theirs = Plan((Cap("provider:alpha", "day", 1.0),), zone="UTC")
    await store.ledger.reserve(entry("a"), PLAN.limits).wait()
    async with sqlite(store.path) as other:
        await other.ledger.reserve(entry("b"), theirs.limits).wait()
    await store.ledger.settle(1, PAID, PLAN.limits).wait()
    await store.ledger.reserve(entry("c"), PLAN.limits).wait()
    sums = {scope: (spent, held) for scope, spent, held, *_ in booked(store)}
    assert sums["global"] == sums["provider:alpha"] == (300, 2000)


async def test_a_hold_of_yesterday_settles_in_yesterdays_window_after_today_was_looked_at(store):
    old = await store.ledger.reserve(entry("old", at=NOON - 86_400), PLAN.limits).wait()
    await store.ledger.reserve(entry("new"), PLAN.limits).wait()
    async with sqlite(store.path) as other:  # it writes: nothing that was read before counts any more
        other.ledger.reserve(entry("theirs", held=1), PLAN.limits)
    await store.ledger.reserve(entry("newer"), PLAN.limits).wait()
    settled = await store.ledger.settle(old.id, PAID, PLAN.limits).wait()
    assert [(s.spent, s.held) for s in settled.standings] == [(300, 0)]
    assert booked(store) == [("global", 300, 0, 300, 0), ("global", 0, 2001, 0, 2001)]


async def test_a_sum_that_cannot_be_written_fails_its_own_step_and_no_other(store):
    first = await store.ledger.reserve(entry("first"), PLAN.limits).wait()
    async with sqlite(store.path) as other:
        await other.writer.submit(lambda db: db.execute("UPDATE budget SET held = 0") and None).wait()
    asked = [
        store.ledger.settle(first.id, PAID, PLAN.limits),  # would leave less than nothing held
        store.writer.submit(lambda db: db.execute("INSERT INTO meta VALUES('beside', 'it')") and None),
    ]
    assert await outcomes(asked) == [StoreFault, None]
    assert rows(store, "SELECT state FROM attempt") == [(0,)]
    assert rows(store, "SELECT value FROM meta WHERE key = 'beside'") == [("it",)]
