"""Reports: true sums by any key, budgets as they stand, a forecast that says what it stands on, advice with its worth."""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from providers.types import ModelCard, Price, Usage
from routing.costs.budgets import Cap, Plan
from routing.costs.forecast import forecast
from routing.costs.recommendations import (
    Evidence,
    cheaper_equivalent,
    disputed,
    exact_cache,
    long_history,
    price_drift,
    recommendations,
    repeated_prefix,
    unused_max_tokens,
)
from routing.costs.reports import Accountant, Known, Query, dollars, whole_days
from routing.costs.savings import savings
from routing.costs.tally import Tally
from routing.events import CacheLooked, Fused, Progressed
from routing.store.archive import Record
from routing.store.books import Habits, Line, Repeat, Told
from tests.routing.money import NOON, Clock, answer, bill, deployment, flat, tracker

pytestmark = pytest.mark.anyio
DAY = 86_400.0


def accountant(store, clock: Clock, plan: Plan, deployments=()) -> Accountant:
    return Accountant(store.books, store.ledger, Known(lambda: plan, lambda: deployments, flat, clock=clock))


def line(**facts) -> Line:
    base = dict.fromkeys(Line._fields, 0) | {
        "at": int(NOON),
        "provider": "alpha",
        "model": "m1",
        "caller": "me",
        "task": "",
        "servers": "",
        "asked": "auto",
        "simulated": False,
        "calls": 1,
        "ok": 1,
    }
    return Line(**(base | facts))


async def call(purse, name: str, *, ok: bool = True, at: float | None = None, **facts) -> None:
    if at is not None:
        purse.clock.now = at
    async with purse.hold(bill(name, **facts)) as held:
        if ok:
            held.settle(answer())
        else:
            held.abandon("no", None)


async def test_sums_by_every_key_agree_with_each_other_and_with_the_budget(store):
    clock, plan = Clock(), Plan((Cap("global", "month", 1.0),), zone="UTC")
    purse = tracker(store, plan=plan, clock=clock)
    await call(purse, "a", caller="eve", task="commit")
    await call(purse, "b", of=deployment("beta"))
    await call(purse, "c", ok=False)
    await call(purse, "old", at=NOON - 3 * DAY)
    clock.now = NOON
    async with purse.hold(bill("open")):
        await store.ledger.reclaim().wait()
        books = accountant(store, clock, plan)
        for by, keys in {
            "provider": {"alpha": 3, "beta": 1},
            "model": {"alpha/m1": 3, "beta/m1": 1},
            "day": {"2026-11-18": 1, "2026-11-21": 3},
            "caller": {"eve": 1, "local": 3},
            "task": {"commit": 1, "(none)": 3},
            "server": {"(none)": 4},
        }.items():
            report = await books.report(books.period("30d", by))
            assert {group.key: group.calls for group in report.groups} == keys
            assert sum(group.usd for group in report.groups) == pytest.approx(report.total_usd) == 0.0033
            assert report.calls == 4
        (budget,) = report.budgets
        assert (budget.spent_usd, budget.reserved_usd, budget.remaining_usd) == (0.0033, 0.002, 0.9947)
        assert budget.resets_at == "2026-12-01T00:00:00+00:00"
        alpha = (await books.report(books.period("today"))).groups[0]
    assert (alpha.calls, alpha.success_rate, alpha.usd_per_answer) == (2, 0.5, 0.0011)
    assert alpha.tokens.input == 900 and alpha.latency_p50_s >= 0


async def test_a_call_that_was_never_sent_is_no_call_of_anybody(store):
    clock, plan = Clock(), Plan(zone="UTC")
    purse = tracker(store, plan=plan, clock=clock)
    async with purse.hold(bill()) as held:
        held.abandon("unsent", None)
    await store.ledger.reclaim().wait()
    books = accountant(store, clock, plan)
    report = await books.report(books.period("today"))
    assert (report.calls, report.total_usd) == (0, 0)
    assert report.groups[0].success_rate is None


async def test_unpriced_and_uncertain_money_is_shown_beside_the_sum(store):
    clock, plan = Clock(), Plan(zone="UTC")
    purse = tracker(store, plan=plan, clock=clock)
    await call(purse, "u", of=deployment(price=None))
    with pytest.raises(ZeroDivisionError):
        async with purse.hold(bill("lost")):
            raise ZeroDivisionError
    await store.ledger.reclaim().wait()
    books = accountant(store, clock, plan)
    report = await books.report(books.period("all"))
    assert (report.unpriced_calls, report.uncertain_usd, report.total_usd) == (1, 0.002, 0.002)
    assert any("its price is not known" in advice.text for advice in report.recommendations)


async def test_hits_and_fusions_are_counted_by_kind(store):
    tally, clock = Tally(store.books), Clock()
    for event in [
        CacheLooked("exact", 0.5),
        CacheLooked("replayed", 0.25),
        CacheLooked("miss"),
        Fused("f", "agreed", 1.0, 0.02, 3, 1, 0.01),
        Fused("f", "split", 0.4, 0.04, 3, 0),
        Fused("f", "single", None, 0.0, 1, 0),
        Progressed("x", "nothing of money"),
    ]:
        tally(event)  # a report asked for at once has them, though they are written later
    books = accountant(store, clock, Plan(zone="UTC"))
    books.known = replace(books.known, clock=__import__("time").time)
    report = await books.report(books.period("today"))
    assert (report.cache.hits, report.cache.misses) == (2, 1)
    assert report.savings.cache_usd == 0.75 and report.savings.early_stop_usd == 0.01
    assert (report.fusion.count, report.fusion.mean_agreement) == (3, 0.7)
    assert report.fusion.mean_cost_usd == pytest.approx(0.02)
    assert report.fusion.agreement == {"high": 1, "medium": 0, "low": 1}


def test_a_forecast_says_what_it_stands_on_and_never_falls_below_what_is_spent():
    assert forecast([], 0.0, 10).month_end_usd is None
    young = forecast([1.0, 3.0], 4.0, 10)
    assert (young.month_end_usd, young.low_usd, young.high_usd) == (24.0, 4.0, 34.0)
    assert young.basis == "only 2 days seen: a rough guess"
    steady = forecast([2.0] * 10, 20.0, 5)
    assert (steady.low_usd, steady.month_end_usd, steady.high_usd) == (30.0, 30.0, 30.0)
    wild = forecast([0.0, 40.0] * 5, 200.0, 20)
    assert 200.0 <= wild.low_usd < wild.month_end_usd == 600.0 < wild.high_usd
    assert wild.basis == "mean of the last 10 days, 80 % interval"


def test_idle_days_count_in_a_forecast():
    lines = [line(at=int(NOON - 4 * DAY), nano=3_000_000_000), line(nano=7)]
    assert whole_days(lines, NOON - 12 * 3600, "UTC") == [3.0, 0.0, 0.0, 0.0]


def test_routing_is_measured_against_always_taking_the_best():
    best = replace(deployment("best", "big", Price(10.0, 50.0)), card=ModelCard("big", quality={"default": 0.9}))
    routed = line(input=1_000_000, output=100_000, nano=1_200_000_000)
    named = line(asked="m1", input=1_000_000, output=100_000, nano=1)
    found = savings([routed, named], {"cache:exact": (1, 5_000_000_000, 0.0)}, [deployment(), best], flat)
    assert found.baseline == "best/big"
    assert found.routing_usd == pytest.approx(15.0 - 1.2)
    assert found.cache_usd == 5.0


def evidence(*lines: Line, habits: Habits = Habits(), deployments=(), cache: bool = True) -> Evidence:
    return Evidence(lines, habits, deployments, flat, cache)


def test_a_cheaper_equal_is_named_with_what_it_would_have_saved():
    used = replace(deployment("alpha", "m1", Price(10.0, 10.0)), card=ModelCard("m1", quality={"default": 0.7}))
    good = replace(deployment("beta", "m2", Price(1.0, 1.0)), card=ModelCard("m2", quality={"default": 0.75}))
    weak = replace(deployment("gamma", "m3", Price(0.1, 0.1)), card=ModelCard("m3", quality={"default": 0.3}))
    heavy = line(input=1_000_000, output=0, nano=10_000_000_000)
    (advice,) = recommendations(evidence(heavy, deployments=[used, good, weak]))
    assert advice.saves_usd == pytest.approx(9.0)
    assert "beta/m2 (as good by its scores)" in advice.text and '"beta/m2"' in advice.action
    assert list(cheaper_equivalent(evidence(heavy, deployments=[good, weak]))) == []


def test_advice_is_given_for_prefixes_histories_limits_repeats_and_drift():
    d = [deployment(price=Price(10.0, 10.0, cached_input=1.0))]
    (prefix,) = repeated_prefix(evidence(deployments=d, habits=Habits((Repeat("alpha", "m1", 101, 999_999, 0),))))
    assert prefix.saves_usd == pytest.approx(100 * 1024 * 9 / 1e6)
    (history,) = long_history(evidence(deployments=d, habits=Habits(histories=(Repeat("alpha", "m1", 9, 200_000, 0),))))
    assert history.saves_usd == pytest.approx(1.0)
    (room,) = unused_max_tokens(evidence(line(ok=20, max_tokens=160_000, ok_output=2_000)))
    assert room.action == "send max_tokens = 400 to alpha/m1" and room.saves_usd == 0
    (cache,) = exact_cache(evidence(cache=False, habits=Habits(questions=7, questions_nano=2_000_000_000)))
    assert cache.saves_usd == 2.0
    assert list(exact_cache(evidence(habits=Habits(questions=7, questions_nano=2_000_000_000)))) == []
    (drift,) = price_drift(evidence(habits=Habits(told=(Told("alpha", "m1", 5, 110, 100),))))
    assert "+10%" in drift.text
    assert list(price_drift(evidence(habits=Habits(told=(Told("alpha", "m1", 5, 101, 100),))))) == []


def test_a_price_two_tables_disagree_on_is_told_of_models_in_use_alone():
    price = Price(3.0, 9.0, source="models.dev 2026-11-21", other="genai-prices 0.2.3 says $2 and $8")
    doubted = [deployment("alpha", "m1", price), deployment("alpha", "m2", price)]
    (advice,) = disputed(evidence(line(), deployments=doubted))
    assert (
        "alpha/m1" in advice.text
        and "models.dev 2026-11-21 says $3 and $9, genai-prices 0.2.3 says $2 and $8" in advice.text
    )
    assert "[[providers.alpha.models]]" in advice.action


def test_amounts_are_readable():
    assert [dollars(usd) for usd in (0, 0.00034, 1.005, 1234.5)] == ["$0.00", "$0.000340", "$1.00", "$1234.50"]


async def test_the_same_question_twice_is_a_repetition_and_the_members_of_a_panel_are_none(store):
    purse = tracker(store)
    for name, key in (("a", "k"), ("b", "k"), ("c", "other"), ("m1", ""), ("m2", ""), ("m3", "")):
        await call(purse, name)
        await store.archive.keep(Record(name, "me", NOON, key, b"")).wait()
    habits = await store.books.habits(NOON - DAY, NOON + DAY)
    assert habits.questions == 1 and habits.questions_nano == flat(bill().deployment.price, answer().usage)


async def test_habits_are_read_from_the_books(store):
    clock, plan = Clock(), Plan(zone="UTC")
    purse = tracker(store, plan=plan, clock=clock)
    long = "x" * 5000
    for n in range(3):
        b = bill(f"p{n}")
        request = replace(b.ask.request, system=long)
        async with purse.hold(replace(b, ask=replace(b.ask, request=request, history=25))) as held:
            held.settle(answer(usage=Usage(input=2000, output=10, cost_usd=0.004)))
    await store.ledger.reclaim().wait()
    habits = await store.books.habits(0, NOON + 1)
    assert habits.prefixes == (Repeat("alpha", "m1", 3, 6000, 0),)
    assert habits.histories == habits.prefixes
    assert habits.told == (Told("alpha", "m1", 3, 12_000_000, 3 * 2_020_000),)


def test_time_is_cut_where_clocks_are_changed_and_each_piece_knows_its_midnight() -> None:
    from routing.costs.days import stretches

    autumn, spring = 1_792_890_000.0, 1_774_746_000.0  # Berlin: 2026-10-25 and 2026-03-29, 01:00 UTC
    whole = list(stretches(autumn - 14 * 86_400, autumn - 1, "Europe/Berlin"))
    assert [(piece.midnight % 86_400) for piece in whole] == [22 * 3_600]
    for change, before, after in ((autumn, 22, 23), (spring, 23, 22)):
        one, other = stretches(change - 20 * 86_400, change + 10 * 86_400, "Europe/Berlin")
        assert one.until == other.since == change
        assert [one.midnight % 86_400, other.midnight % 86_400] == [before * 3_600, after * 3_600]
    assert len(list(stretches(0.0, 1_795_000_000.0, "UTC"))) == 1
    assert list(stretches(5.0, 5.0, "UTC")) == []


async def test_no_call_changes_its_day_where_the_clocks_do(store) -> None:
    autumn = 1_792_890_000.0  # 01:00 UTC: 3 o'clock becomes 2, the day has 25 hours
    moments = {
        autumn - 3 * 3_600 - 1: "2026-10-24",
        autumn - 3 * 3_600: "2026-10-25",
        autumn - 60: "2026-10-25",
        autumn + 60: "2026-10-25",
        autumn + 22 * 3_600 - 1: "2026-10-25",
        autumn + 22 * 3_600: "2026-10-26",
    }
    clock = Clock()
    purse = tracker(store, 1.0, clock=clock)
    for number, clock.now in enumerate(moments):
        async with purse.hold(bill(f"r{number}")) as held:
            held.settle(answer())
    await store.ledger.reclaim().wait()  # the last settlement is on disk then
    known = Known(lambda: Plan((), zone="Europe/Berlin"), tuple, flat, clock=clock)
    found = await Accountant(store.books, store.ledger, known).daily(Query(0.0, clock.now + 10, "all"))
    counted = Counter({day: 0 for day in moments.values()})
    for line in found:
        counted[datetime.fromtimestamp(line.at, ZoneInfo("Europe/Berlin")).date().isoformat()] += line.calls
    assert counted == Counter(moments.values())
