"""Leases: calls that follow each other wait for no commit, and not a cent more can be spent than without them."""

import random
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import pytest

from providers.types import Price, Usage
from routing.costs.budgets import Cap, Plan
from routing.costs.leases import FEWEST, FOLLOWS_S, MOST, SHARE, Leases, leased
from routing.costs.pricing import Tariffs
from routing.costs.tracker import Tracker
from routing.errors import BudgetExceeded
from routing.store.faults import StoreFault
from routing.store.ledger import Closing, Entry
from tests.routing.money import NOON, Clock, answer, bill, deployment, dies, flat, rows, spent, tracker

pytestmark = pytest.mark.anyio
DEAR = deployment(price=Price(1000.0, 1.0))  # a token is a tenth of a cent


@dataclass
class Purse:
    """A tracker over leases, and the clock by which calls follow each other."""

    tracker: Tracker
    leases: Leases
    since: Clock

    async def call(self, name: str, micro: int = 1100) -> None:
        async with self.tracker.hold(bill(name)) as held:
            held.settle(answer(usage=Usage(input=micro)))


@asynccontextmanager
async def purse(store, usd: float = 10.0, clock: Clock | None = None, **facts):
    since = Clock(1000.0)
    async with leased(store.ledger, clock=since, look_s=facts.pop("look_s", 3600.0)) as leases:
        plan = facts.pop("plan", None) or Plan((Cap("global", "day", usd),), zone="UTC")
        yield Purse(Tracker(leases, Tariffs(flat), plan, clock=clock or Clock(), **facts), leases, since)
    await settled(store)


async def settled(store) -> None:
    await store.ledger.reclaim().wait()


def leases_of(store) -> list[int]:
    """Micro-dollars that each lease holds."""
    found = rows(store, "SELECT held / 1000 FROM attempt WHERE state = 0 AND ask LIKE 'lease-%' ORDER BY held")
    return [held for (held,) in found]


async def warm(one: Purse, store, calls: int = 2) -> None:
    for n in range(calls):
        await one.call(f"warm{n}")
    await settled(store)


async def test_a_call_after_one_like_it_is_promised_its_money_without_a_commit(store):
    async with purse(store) as one:
        await one.call("first")
        await settled(store)
        assert leases_of(store) == []
        await one.call("second")
        await settled(store)
        assert leases_of(store) == [FEWEST * 2000]
        before = rows(store, "SELECT count(*) FROM attempt")
        entered = one.tracker.reserve(bill("third"))
        with pytest.raises(StopIteration) as ended:
            entered.send(None)  # it never waits
        assert ended.value.value[1] == 2_000_000
        assert rows(store, "SELECT count(*) FROM attempt") == before
        one.tracker.settle(ended.value.value[0], Closing("settled", 1_100_000, "priced", ok=True))
        await settled(store)
        assert spent(store) == (3300, FEWEST * 2000 - 1100)
    assert spent(store) == (3300, 0)
    assert rows(store, "SELECT ask, state, cost / 1000 FROM attempt ORDER BY at, ask") == [
        ("first", 1, 1100),
        ("second", 1, 1100),
        ("third", 1, 1100),
    ]


async def test_a_call_that_follows_nobody_reserves_by_itself(store):
    async with purse(store) as one:
        for n in range(5):
            await one.call(str(n))
            one.since.now += FOLLOWS_S
        await settled(store)
        assert leases_of(store) == []


async def test_calls_of_another_caller_task_or_model_are_paid_out_of_no_lease_of_others(store):
    async with purse(store) as one:
        await warm(one, store)
        for facts in ({"caller": "other"}, {"task": "coding"}, {"of": deployment(model="m2")}):
            async with one.tracker.hold(bill("x", **facts)) as held:
                assert rows(store, "SELECT count(*) FROM attempt WHERE ask = 'x' AND state = 0") == [(1,)]
                held.settle(answer())
            await settled(store)


async def test_a_call_with_a_cap_of_its_own_or_a_persons_word_is_held_by_name(store):
    async with purse(store) as one:
        await warm(one, store)
        one.tracker.allow("allowed", 1.0)
        for name, facts in (("capped", {"max_cost_usd": 1.0}), ("allowed", {})):
            async with one.tracker.hold(bill(name, **facts)) as held:
                assert rows(store, f"SELECT state FROM attempt WHERE ask = '{name}'") == [(0,)]
                held.settle(answer())


async def test_work_that_outlives_its_process_is_held_by_name(store):
    async with purse(store) as one:
        await warm(one, store)
        await one.tracker.book(bill("batch"))
        assert rows(store, "SELECT state FROM attempt WHERE ask = 'batch'") == [(0,)]
        known = Closing("settled", 1_100_000, "priced", ok=True)
        assert (await one.tracker.amend("batch", known).wait()).fresh
    assert spent(store) == (3300, 0)


async def test_near_the_edge_there_is_no_lease_and_the_last_cent_can_be_spent(store):
    async with purse(store, usd=0.022) as one:
        for n in range(20):
            await one.call(str(n), 1000)
        await settled(store)
        assert leases_of(store) == []
        assert spent(store) == (20_000, 0)
        await one.call("last", 2000)
        with pytest.raises(BudgetExceeded):
            await one.call("one more")
    assert spent(store) == (22_000, 0)


async def test_a_lease_is_a_twentieth_of_what_the_tightest_budget_has_left_at_most(store):
    plan = Plan((Cap("global", "day", 10.0), Cap("caller:local", "day", 0.1)), zone="UTC")
    async with purse(store, plan=plan) as one:
        for n in range(2):
            async with one.tracker.hold(bill(f"warm{n}", caller="local")) as held:
                held.settle(answer())
        await settled(store)
        assert leases_of(store) == [(100_000 - 1100 - 2000) // SHARE]


async def test_a_lease_melts_as_others_spend_what_is_left(store):
    async with purse(store, usd=1.0) as one:
        await warm(one, store)
        assert leases_of(store) == [FEWEST * 2000]
        async with tracker(store, 1.0).hold(bill("others", tokens=(940_000, 0), caller="other")) as held:
            held.settle(answer(usage=Usage(input=940_000)))
        await one.call("next")
        await settled(store)  # what it cost is known
        await settled(store)  # and what that came to
        assert leases_of(store) == [(1_000_000 - 940_000 - 3300 - FEWEST * 2000 + 1100) // SHARE]


async def test_what_no_call_was_promised_is_not_told_as_reserved(store):
    async with purse(store) as one:
        await warm(one, store)
        limits = one.tracker.plan.all_limits(Clock().now)
        (standing,) = await one.leases.standings(limits)
        assert (standing.spent, standing.held) == (2_200_000, 0)
        async with one.tracker.hold(bill("open")) as held:
            assert [s.held for s in await one.leases.standings(limits)] == [2_000_000]
            assert [s.held for s in await store.ledger.standings(limits)] == [FEWEST * 2_000_000]
            held.settle(answer())


async def test_what_leases_keep_is_given_back_before_a_call_is_refused(store):
    async with purse(store, usd=0.2) as one:
        await warm(one, store)
        (kept,) = leases_of(store)
        left = 200_000 - sum(spent(store))
        async with one.tracker.hold(bill("big", tokens=(left + kept - 1000, 0), caller="other")) as held:
            held.settle(answer(usage=Usage(input=1000)))
        await one.call("after")
    assert spent(store) == (4300, 0)


async def test_what_is_refused_all_the_same_says_what_is_left_without_leases(store):
    async with purse(store, usd=0.2) as one:
        await warm(one, store)
        with pytest.raises(BudgetExceeded) as refused:
            async with one.tracker.hold(bill("big", tokens=(200_000, 0), caller="other")):
                pytest.fail("the budget was passed")
        assert refused.value.room_usd == pytest.approx(0.2 - 0.0022)


async def test_a_lease_that_does_not_do_is_followed_by_one_for_twice_as_many(store):
    async with purse(store, usd=1000.0) as one:
        await warm(one, store)
        sizes = []
        async with anyio.create_task_group() as tasks:
            leave = anyio.Event()

            async def one_call(n: int) -> None:
                async with one.tracker.hold(bill(f"open{n}")) as held:
                    await leave.wait()
                    held.settle(answer())

            for n in range(200):
                tasks.start_soon(one_call, n)
                await anyio.sleep(0)
                if n % 20 == 19:
                    await settled(store)
                    sizes = leases_of(store)
            leave.set()
        assert sizes == [FEWEST * 2000 * 2**n for n in range(len(sizes))]
        assert len(sizes) >= 4
        assert sizes[-1] <= MOST * 2000
    assert spent(store) == (200 * 1100 + 2200, 0)


async def test_what_nobody_needed_for_a_second_is_given_back(store):
    async with purse(store) as one:
        await warm(one, store)
        assert spent(store)[1] == FEWEST * 2000
        one.leases._look()
        one.leases._look()
        await settled(store)
        assert leases_of(store) == []
        assert spent(store) == (2200, 0)
        await one.call("later")
    assert spent(store) == (3300, 0)


async def test_a_lease_is_given_back_by_itself(store):
    async with purse(store, look_s=0.001) as one:
        await warm(one, store)
        with anyio.fail_after(30):
            while one.leases._look_due is not None:
                await anyio.sleep(0.001)
        await settled(store)
        assert spent(store) == (2200, 0)


async def test_a_promise_cancelled_or_left_without_a_word_costs_what_it_would_have_without_a_lease(store):
    async with purse(store) as one:
        await warm(one, store)
        async with one.tracker.hold(bill("left")):
            pass
        async with one.tracker.hold(bill("unsent")) as held:
            held.abandon("unsent", None)
        await settled(store)
        found = rows(store, "SELECT ask, state, cost / 1000 FROM attempt WHERE ask IN ('left', 'unsent') ORDER BY ask")
        assert found == [("left", 3, 2000), ("unsent", 2, 0)]
        assert spent(store)[0] == 2200 + 2000
    assert spent(store) == (4200, 0)


async def test_a_call_that_cost_more_than_it_was_promised_is_booked_and_closes_the_budget(store):
    async with purse(store, usd=2.0) as one:
        await warm(one, store)
        promised, _ = await one.tracker.reserve(bill("dear"))
        one.tracker.settle(promised, Closing("settled", 3_000_900_000, "reported", ok=True))
        await settled(store)
        with pytest.raises(BudgetExceeded):
            await one.call("next")
    assert spent(store) == (3_000_900 + 2200, 0)


async def test_a_lowered_budget_holds_at_once(store):
    async with purse(store) as one:
        await warm(one, store)
        await one.tracker.adopt(Plan((Cap("global", "day", 0.003),), zone="UTC"))
        with pytest.raises(BudgetExceeded):
            await one.call("next")


async def test_a_lease_is_worth_nothing_in_the_next_window(store):
    clock = Clock()
    async with purse(store, clock=clock) as one:
        await warm(one, store)
        clock.now += 86_400
        async with one.tracker.hold(bill("tomorrow")) as held:
            assert rows(store, "SELECT state FROM attempt WHERE ask = 'tomorrow'") == [(0,)]
            held.settle(answer())
    assert rows(store, "SELECT spent / 1000, held FROM budget ORDER BY starts") == [(2200, 0), (1100, 0)]


async def test_a_promise_of_yesterday_is_booked_in_the_window_it_was_held_in(store):
    clock = Clock()
    async with purse(store, clock=clock) as one:
        await warm(one, store)
        async with one.tracker.hold(bill("over midnight")) as held:
            clock.now += 86_400
            held.settle(answer())
    assert rows(store, "SELECT spent / 1000, held FROM budget ORDER BY starts") == [(3300, 0)]


async def test_a_window_of_others_that_begins_between_lease_and_call_counts_each_in_its_own(store):
    clock = Clock(NOON - 30)  # where it is twelve hours earlier than in Greenwich, a day begins at noon
    theirs = Plan((Cap("provider:alpha", "day", 10.0),), zone="Etc/GMT+12")
    async with purse(store, clock=clock) as one:
        for n, at in enumerate((NOON - 30, NOON + 30)):
            clock.now = at
            async with tracker(store, plan=theirs, clock=clock).hold(bill(f"there{n}", caller="other")) as held:
                held.settle(answer())
            clock.now = NOON - 30
            await warm(one, store)
        clock.now = NOON + 30
        promised, _ = await one.tracker.reserve(bill("here"))
        assert promised < 0
        one.tracker.settle(promised, Closing("settled", 1_100_000, "priced", ok=True))
        await settled(store)
        windows = rows(
            store, "SELECT starts, ends, spent, held FROM budget WHERE scope = 'provider:alpha' ORDER BY starts"
        )
        assert rows(store, "SELECT state FROM attempt WHERE ask = 'here'") == [(1,)]
        assert len(windows) == 2
        assert windows[0][3] > windows[1][3] == 0
        for starts, ends, *sums in windows:
            counted = f"""SELECT coalesce(sum(CASE WHEN state > 0 THEN cost END), 0), coalesce(sum(CASE state WHEN 0 THEN held END), 0)
              FROM attempt WHERE at >= {starts} AND at < {ends}"""
            assert [list(map(int, row)) for row in rows(store, counted)] == [sums]


async def test_a_window_that_opens_as_a_call_is_booked_counts_what_its_lease_still_holds(store):
    async with purse(store) as one:
        await warm(one, store)
        promised, _ = await one.tracker.reserve(bill("call"))
        one.tracker.settle(promised, Closing("settled", 1_100_000, "priced", ok=True))
        monthly = Plan((Cap("global", "month", 10.0),), zone="UTC")
        first = Entry("other", 1, "beta", "m9", "other", "", 500_000, Clock().now)
        await store.ledger.reserve(first, monthly.limits).wait()  # in the same turn: of the same transaction
        found = rows(store, "SELECT spent / 1000, held / 1000 FROM budget ORDER BY ends")
        assert found == [(3300, FEWEST * 2000 - 1100 + 500)] * 2


async def test_of_a_process_that_died_what_its_leases_hold_is_booked_as_uncertain(store, another_store):
    async with another_store() as other:
        doomed = Leases(other.ledger, clock=Clock(1000.0), look_s=3600.0)
        plan = Plan((Cap("global", "day", 10.0),), zone="UTC")
        theirs = Tracker(doomed, Tariffs(flat), plan, clock=Clock())
        one = Purse(theirs, doomed, Clock())
        await warm(one, other)
        await theirs.hold(bill("in flight")).__aenter__()
        await settled(other)
        dies(other)
        assert await store.ledger.reclaim().wait() == 1
        assert spent(store) == (2200 + FEWEST * 2000, 0)
        assert rows(store, "SELECT cost / 1000 FROM attempt WHERE state = 3") == [(FEWEST * 2000,)]
        # It was not dead: what it says after all comes out of what was booked for it, and the rest is free again.
        theirs.settle(-1, Closing("settled", 1_100_000, "priced", ok=True))
        await settled(other)
        assert spent(store) == (2200 + FEWEST * 2000, 0)
        await doomed.aclose()
        await settled(other)
    assert spent(store) == (3300, 0)


async def test_a_settlement_asked_twice_moves_nothing_twice(store):
    async with leased(store.ledger) as leases:
        plan = Plan((Cap("global", "day", 10.0),), zone="UTC")
        entry = Entry("a", 1, "alpha", "m1", "local", "", 2_000_000, Clock().now)
        many = Entry("lease-x", 0, "alpha", "m1", "local", "", 16_000_000, Clock().now)
        lease = (await store.ledger.reserve(many, plan.limits).wait()).id
        closing = Closing("settled", 1_100_000, "priced", ok=True)
        for _ in range(2):
            await leases.draw(lease, entry, closing, plan.limits).wait()
        assert spent(store) == (1100, 14_900)
        assert await leases.release(lease, 4_900_000).wait()
        assert spent(store) == (1100, 10_000)
        assert await leases.release(lease, None).wait()
        assert not await leases.release(lease, None).wait()
        assert spent(store) == (1100, 0)


async def test_a_settlement_that_could_not_be_written_is_written_by_the_next_call(store):
    async with purse(store) as one:
        await warm(one, store)
        real, one.leases._ledger = one.leases._ledger, Broken(one.leases._ledger)
        await one.call("unwritten")
        assert len(one.tracker.unsettled) == 1
        one.leases._ledger = real
        await one.call("next")
        await settled(store)
        assert one.tracker.unsettled == {}
    assert spent(store) == (4400, 0)


class Broken:
    """A ledger whose disk is full when something ends."""

    def __init__(self, ledger) -> None:
        self.reserve = ledger.reserve

    def draw(self, *_):
        from routing.store.pending import Pending

        pending = Pending()
        pending.resolve(None, StoreFault("full"))
        return pending


async def test_a_thousand_callers_with_leases_never_pass_a_budget(store, another_store):
    granted = refused = 0
    async with another_store() as other, purse(store, usd=0.5) as one, purse(other, usd=0.5) as two:
        async with anyio.create_task_group() as tasks:

            async def calls(which: Purse, n: int) -> None:
                nonlocal granted, refused
                for again in range(2):
                    try:
                        async with which.tracker.hold(bill(f"{n}-{again}", tokens=(1, 0), of=DEAR)) as held:
                            await anyio.sleep(0)
                            held.settle(answer(usage=Usage(input=1)))
                        granted += 1
                    except BudgetExceeded:
                        refused += 1

            for n in range(500):
                tasks.start_soon(calls, (one, two)[n % 2], n)
        for which in (one, two):
            await which.tracker.adopt(which.tracker.plan)
    assert granted + refused == 1000
    assert granted <= 500
    assert sum(spent(store)) <= 500_000
    async with purse(store, usd=0.5) as last:
        for n in range(500 - granted):
            async with last.tracker.hold(bill(f"last{n}", tokens=(1, 0), of=DEAR)) as held:
                held.settle(answer(usage=Usage(input=1)))
        with pytest.raises(BudgetExceeded):
            await last.call("one more")
    assert spent(store) == (500_000, 0)


async def test_three_thousand_cancellations_under_leases_leave_nothing_held(store):
    rng = random.Random(7)
    async with purse(store, usd=1e6) as one:

        async def call(n: int) -> None:
            with anyio.move_on_after(0) if rng.random() < 0.3 else anyio.CancelScope() as scope:
                if rng.random() < 0.2:
                    scope.cancel()
                async with one.tracker.hold(bill(str(n))) as held:
                    if rng.random() < 0.5:
                        await anyio.sleep(0)
                    if rng.random() < 0.7:
                        held.settle(answer())

        for start in range(0, 3000, 100):
            async with anyio.create_task_group() as tasks:
                for n in range(start, start + 100):
                    tasks.start_soon(call, n)
        await settled(store)
        assert one.leases._promised == {}
    assert spent(store)[1] == 0
    ((total,),) = rows(store, "SELECT sum(cost) / 1000 FROM attempt")
    assert spent(store)[0] == total
