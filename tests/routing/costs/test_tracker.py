"""The purse: reserved before, settled after, once, whatever happens in between."""

import random
from dataclasses import replace

import anyio
import pytest

from providers.types import Answer, Price, Usage
from routing.costs.budgets import Cap, Plan
from routing.errors import BudgetExceeded
from routing.events import BudgetAlert
from tests.routing.money import NOON, Clock, Told, answer, ask, bill, deployment, rows, spent, tracker

pytestmark = pytest.mark.anyio


async def quiet(store) -> None:
    """Wait until everything queued so far is durable: the writer is first come, first served."""
    await store.ledger.reclaim().wait()


async def test_the_worst_case_is_held_before_and_the_true_cost_is_booked_after(store):
    purse = tracker(store, 1.0)
    async with purse.hold(bill()) as held:
        assert spent(store) == (0, 2000)
        cost = held.settle(answer())
    await quiet(store)
    assert (cost.usd, cost.basis) == (0.0011, "priced")
    assert spent(store) == (1100, 0)


async def test_a_second_settlement_changes_nothing(store):
    purse = tracker(store, 1.0)
    async with purse.hold(bill()) as held:
        first = held.settle(answer())
        assert held.settle(answer(usage=Usage(input=1, output=1))) == first
        assert held.abandon("no", None) == first
    await quiet(store)
    assert spent(store) == (1100, 0)
    assert rows(store, "SELECT state, cost / 1000 FROM attempt") == [(1, 1100)]


async def test_a_hold_left_without_a_word_costs_the_worst_case_and_is_marked_uncertain(store):
    purse = tracker(store, 1.0)
    with pytest.raises(ZeroDivisionError):
        async with purse.hold(bill()):
            raise ZeroDivisionError
    await quiet(store)
    assert spent(store) == (2000, 0)
    assert rows(store, "SELECT state, basis FROM attempt") == [(3, "estimated")]


@pytest.mark.parametrize(
    ("billed", "draft", "micro", "state"),
    [
        ("no", None, 0, 2),
        ("unknown", None, 1000, 1),  # the prompt was sent: at least that
        ("yes", Answer("x" * 300), 1000 + 2 * 100, 1),
        ("yes", answer(), 1100, 1),
    ],
)
async def test_an_abandoned_attempt_costs_what_came_of_it(store, billed, draft, micro, state):
    purse = tracker(store, 1.0)
    async with purse.hold(bill()) as held:
        cost = held.abandon(billed, draft)
    await quiet(store)
    assert cost.usd == pytest.approx(micro / 1e6)
    assert spent(store) == (micro, 0)
    assert rows(store, "SELECT state, ok FROM attempt") == [(state, 0)]


async def test_what_does_not_fit_is_refused_with_what_is_left_and_what_to_do(store):
    purse = tracker(store, 0.003)
    async with purse.hold(bill("a")):
        with pytest.raises(BudgetExceeded) as refused:
            async with purse.hold(bill("b")):
                pytest.fail("held more than the budget")
    assert "up to $0.0020" in refused.value.message
    assert "the daily budget of $0.003 has $0.0010 left" in refused.value.message
    assert "2026-11-22 00:00 UTC" in refused.value.hint
    assert refused.value.after == 12 * 3600
    assert (refused.value.final, refused.value.may_ask) == (True, False)


async def test_every_scope_a_call_counts_in_can_refuse_it(store):
    names = ["global", "provider:alpha", "model:alpha/m1", "caller:eve", "task:commit"]
    for number, scope in enumerate(names):
        purse = tracker(store, caps=[Cap(scope, "month", 0.001 * (number + 1) + 0.0005)])
        with pytest.raises(BudgetExceeded) as refused:
            for n in range(3):
                async with purse.hold(bill(f"{number}-{n}", caller="eve", task="commit")) as held:
                    held.settle(answer(usage=Usage(input=800, output=100)))
        assert refused.value.scope == scope
        async with tracker(store, caps=[Cap("provider:beta", "day", 0.0)]).hold(bill(f"{number}-free")) as held:
            held.abandon("no", None)


async def test_one_max_cost_covers_all_attempts_of_an_ask(store):
    purse = tracker(store)
    async with purse.hold(bill("a", 1, max_cost_usd=0.0035)) as held:
        held.abandon("yes", answer(usage=Usage(input=1000, output=300)))  # 1,600 are gone
    with pytest.raises(BudgetExceeded, match="max_cost_usd"):
        async with purse.hold(bill("a", 2, max_cost_usd=0.0035)):
            pytest.fail("a retry went over the call's own cap")
    async with purse.hold(bill("b", 1, max_cost_usd=0.0035)) as held:  # another ask has its own
        held.settle(answer())


async def test_an_envelope_pays_for_everything_that_is_part_of_it(store):
    purse = tracker(store)
    with purse.envelope("fuse-1", 0.0045):
        for member in "ab":
            async with purse.hold(bill(member, part_of="fuse-1")) as held:
                held.settle(answer())
        async with purse.hold(bill("judge", part_of="fuse-1")):  # 2,200 spent, 2,000 held of 4,500
            with pytest.raises(BudgetExceeded):
                async with purse.hold(bill("repair", part_of="fuse-1")):
                    pytest.fail("the envelope was passed")
    async with purse.hold(bill("later", part_of="fuse-2")) as held:
        held.settle(answer())


async def test_a_free_call_is_possible_when_nothing_is_left(store):
    purse = tracker(store, 0.0)
    async with purse.hold(bill(of=deployment(price=Price(0.0, 0.0)))) as held:
        cost = held.settle(answer())
    assert (cost.usd, cost.basis) == (0.0, "priced")


async def test_an_unpriced_call_is_flagged_never_zero_and_can_be_forbidden(store):
    purse = tracker(store, 1.0)
    async with purse.hold(bill(of=deployment(price=None))) as held:
        cost = held.settle(answer())
    assert (cost.usd, cost.basis) == (None, "unpriced")
    purse.plan = Plan(unpriced="refuse")
    with pytest.raises(BudgetExceeded, match="price of alpha/m1 is not known"):
        async with purse.hold(bill("b", of=deployment(price=None))):
            pytest.fail("an unpriced call went out")


async def test_a_reported_cost_wins_over_a_computed_one(store):
    purse = tracker(store, 1.0)
    async with purse.hold(bill()) as held:
        cost = held.settle(answer(usage=Usage(input=900, output=100, cost_usd=0.0007)))
    await quiet(store)
    assert (cost.usd, cost.basis) == (0.0007, "reported")
    assert spent(store) == (700, 0)


async def test_the_model_that_answered_is_the_one_that_is_priced(store):
    purse = tracker(store, 1.0)
    other = {("alpha", "m2"): Price(10.0, 20.0)}
    purse.tariffs = replace(purse.tariffs, find=lambda provider, model: other.get((provider, model)))
    costs = []
    for number, returned in enumerate(["m1", "m1-2026-10-01", "m2", "m9", ""]):
        async with purse.hold(bill(str(number))) as held:
            costs.append((held.settle(answer(model_returned=returned))).usd)
    assert costs == pytest.approx([0.0011, 0.0011, 0.011, 0.0011, 0.0011])


@pytest.mark.parametrize(
    "usage",
    [
        Usage(input=-5, output=10),
        Usage(input=10**15, output=10),
        Usage(input=10, output=float("nan")),  # type: ignore[arg-type]
        Usage(input=10**30, output=10**30),
        Usage(),
        Usage(input=900, output=100, cost_usd=float("nan"), estimated=True),
        Usage(input=900, output=100, cost_usd=float("inf"), estimated=True),
        Usage(input=900, output=100, cost_usd=-1.0, estimated=True),
        Usage(input=900, output=100, cost_usd=1e300, estimated=True),
    ],
)
async def test_usage_that_cannot_be_true_is_booked_as_an_estimate_within_the_hold(store, usage):
    purse = tracker(store, 1.0)
    async with purse.hold(bill()) as held:
        cost = held.settle(answer(usage=usage))
    await quiet(store)
    assert cost.basis == "estimated"
    assert 0.001 <= cost.usd <= 0.002
    assert rows(store, "SELECT min(input), min(output) FROM attempt")[0] >= (0, 0)


async def test_a_settlement_above_its_hold_is_booked_alarmed_and_closes_the_budget(store):
    told = Told()
    purse = tracker(store, 0.0025, observer=told)
    async with purse.hold(bill()) as held:
        held.settle(answer(usage=Usage(input=900, output=2000)))
    await quiet(store)
    assert spent(store) == (4900, 0)
    alert = told.of(BudgetAlert)[-1]
    assert (alert.spent_usd, alert.limit_usd) == (0.0049, 0.0025) and alert.share > 1
    with pytest.raises(BudgetExceeded, match=r"\$0.0000 left"):
        async with purse.hold(bill("next", tokens=(1, 0))):
            pytest.fail("a closed budget paid")


async def test_each_threshold_is_told_once_over_all_processes(store):
    told = Told()
    one, two = (tracker(store, 0.01, observer=told) for _ in range(2))
    for n in range(8):
        async with (one, two)[n % 2].hold(bill(str(n))) as held:
            held.settle(answer())
        await quiet(store)
    assert [round(alert.share, 2) for alert in told.of(BudgetAlert)] == [0.55, 0.88]


async def test_a_budget_lowered_below_what_is_spent_refuses_and_one_raised_pays_again(store):
    purse = tracker(store, 1.0)
    async with purse.hold(bill("a")) as held:
        held.settle(answer())
    await purse.adopt(Plan((Cap("global", "day", 0.0005),), zone="UTC"))
    with pytest.raises(BudgetExceeded):
        async with purse.hold(bill("b")):
            pytest.fail("paid above the lowered cap")
    assert purse.room_usd(ask(), deployment()) == pytest.approx(-0.0006)
    await purse.adopt(Plan((Cap("global", "day", 2.0),), zone="UTC"))
    async with purse.hold(bill("b")) as held:
        held.settle(answer())


async def test_a_budget_set_in_mid_month_knows_what_the_month_has_cost(store):
    purse = tracker(store, 1.0)
    async with purse.hold(bill("a")) as held, purse.hold(bill("open")):
        held.settle(answer())
        await purse.adopt(Plan((Cap("provider:alpha", "month", 0.004),), zone="UTC"))
        with pytest.raises(BudgetExceeded, match=r"\$0.0009 left"):
            async with purse.hold(bill("b")):
                pytest.fail("forgot what was spent before")


async def test_two_processes_with_different_caps_each_keep_their_own_against_the_common_sum(store):
    rich, poor = tracker(store, 1.0), tracker(store, 0.004)
    for n in range(3):
        async with rich.hold(bill(f"r{n}")) as held:
            held.settle(answer())
    with pytest.raises(BudgetExceeded, match="of \\$0.004 "):
        async with poor.hold(bill("p")):
            pytest.fail("the poorer one paid")
    async with rich.hold(bill("r9")) as held:
        held.settle(answer())


async def test_two_processes_in_different_time_zones_see_each_others_spending(store):
    east = tracker(store, plan=Plan((Cap("global", "day", 0.005),), zone="Asia/Tokyo"))
    west = tracker(store, plan=Plan((Cap("global", "day", 0.005),), zone="America/New_York"))
    for n in range(2):
        for purse in (east, west):
            if n < 2 and (purse, n) != (west, 1):
                async with purse.hold(bill(f"{n}{purse.plan.zone}")) as held:
                    held.settle(answer())
    for purse in (east, west):
        with pytest.raises(BudgetExceeded):
            async with purse.hold(bill(f"last{purse.plan.zone}")):
                pytest.fail("3,300 of 5,000 are spent")


async def test_a_new_day_opens_a_new_budget_and_an_old_hold_settles_in_its_own(store):
    clock = Clock()
    purse = tracker(store, 0.003, clock=clock)
    async with purse.hold(bill("a")) as held:
        clock.now += 86_400
        async with purse.hold(bill("b")) as fresh:
            fresh.abandon("no", None)
        held.settle(answer())
    await quiet(store)
    assert rows(store, "SELECT spent / 1000, held FROM budget ORDER BY starts") == [(1100, 0), (0, 0)]


async def test_a_clock_set_back_does_not_reopen_yesterday(store):
    clock = Clock(NOON - 11 * 3600)  # 01:00
    purse = tracker(store, 0.003, clock=clock)
    async with purse.hold(bill("a")) as held:
        held.settle(answer())
    clock.now -= 2 * 3600  # 23:00 of the day before: its budget is whole
    with pytest.raises(BudgetExceeded):
        async with purse.hold(bill("b")):
            pytest.fail("yesterday's money was spent")


async def test_at_the_edge_a_person_can_be_asked_and_say_yes_once(store):
    purse = tracker(store, plan=Plan((Cap("global", "day", 0.001),), zone="UTC", at_edge="ask"))
    with pytest.raises(BudgetExceeded) as refused:
        async with purse.hold(bill("a")):
            pytest.fail("nobody was asked")
    assert refused.value.may_ask
    purse.allow("a", refused.value.need_usd)
    async with purse.hold(bill("a")) as held:
        held.settle(answer())
    with pytest.raises(BudgetExceeded):
        async with purse.hold(bill("b")):
            pytest.fail("one yes was taken for two")


async def test_room_is_known_from_memory_for_budgets_envelopes_and_caps(store):
    purse = tracker(store, 1.0)
    assert tracker(store).room_usd(ask(), deployment()) is None
    assert purse.room_usd(ask(id="a"), deployment()) == 1.0
    async with purse.hold(bill("a", max_cost_usd=0.005)):
        assert purse.room_usd(ask(id="x"), deployment()) == pytest.approx(0.998)
        assert purse.room_usd(ask(id="a", max_cost_usd=0.005), deployment()) == pytest.approx(0.003)
    with purse.envelope("tree", 0.5):
        assert purse.room_usd(ask(id="b", part_of="tree"), deployment()) == 0.5


async def test_room_anywhere_is_that_of_the_tightest_budget_that_may_count(store):
    caps = (Cap("global", "day", 5.0), Cap("provider:beta", "day", 1.0), Cap("caller:somebody", "day", 0.5))
    purse = tracker(store, plan=Plan(caps, zone="UTC"))
    assert purse.room_usd(ask()) == 1.0
    assert purse.room_usd(ask(), deployment()) == 5.0
    assert purse.room_usd(ask(caller="somebody")) == 0.5


async def test_a_thousand_callers_on_one_budget_never_pass_it(store):
    purse = tracker(store, 0.5)
    cap, worst, refused = 500_000, 0, 0

    async def caller(n: int) -> None:
        nonlocal worst, refused
        try:
            async with purse.hold(bill(str(n))) as held:
                worst = max(worst, sum(spent(store)) if n % 20 == 0 else 0)
                held.settle(answer(usage=Usage(input=1000, output=500)))
        except BudgetExceeded:
            refused += 1

    async with anyio.create_task_group() as tasks:
        for n in range(1000):
            tasks.start_soon(caller, n)
    await quiet(store)
    assert spent(store) == (500_000, 0)
    assert refused == 750
    assert 0 < worst <= cap


async def test_three_thousand_random_cancellations_leave_nothing_held(store):
    purse = tracker(store, 1e6)
    rng, cancelled = random.Random(4), 0

    async def caller(n: int) -> None:
        nonlocal cancelled
        with anyio.move_on_after(rng.choice([0.0, 0.001, 0.02, 0.05, 5])) as scope:
            async with purse.hold(bill(str(n))) as held:
                await anyio.lowlevel.checkpoint()
                held.settle(answer())
        cancelled += scope.cancelled_caught

    async with anyio.create_task_group() as tasks:
        for n in range(3000):
            tasks.start_soon(caller, n)
    await quiet(store)
    await quiet(store)  # what was given back on delivery has been queued before this
    assert 300 < cancelled < 3000
    assert rows(store, "SELECT count(*) FROM attempt WHERE state = 0") == [(0,)]
    assert spent(store)[1] == 0
    ((booked,),) = rows(store, "SELECT sum(cost) / 1000 FROM attempt")
    assert spent(store)[0] == booked
