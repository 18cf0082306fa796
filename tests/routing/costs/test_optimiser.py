"""Sharing out budgets: the total stays, floors and ceilings hold, money goes where it is used well."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.costs.budgets import Cap
from routing.costs.optimiser import CEILING, FLOOR, Use, optimise, uses
from routing.costs.reconcile import Row, Unreadable, read, reconcile
from tests.routing.costs.test_reports import line

AMOUNT = st.floats(0.5, 1000)


def test_money_moves_from_the_idle_to_the_tight_and_the_total_stays():
    caps = [Cap("global", "day", 50.0), Cap("provider:idle", "day", 10.0), Cap("provider:tight", "day", 10.0)]
    idle, tight = optimise(caps, {"provider:idle": Use(0.5, 10), "provider:tight": Use(9.8, 400)})
    assert (idle.verdict, tight.verdict) == ("hardly used", "too tight")
    assert idle.suggested_usd < 10 < tight.suggested_usd
    assert idle.suggested_usd + tight.suggested_usd == pytest.approx(20, abs=0.02)


@given(st.lists(st.tuples(AMOUNT, st.floats(0, 2), st.floats(0, 1e4)), min_size=1, max_size=8))
def test_floors_ceilings_and_the_total_hold_for_any_use(found):
    caps = [Cap(f"provider:p{n}", "month", round(usd, 2)) for n, (usd, _, _) in enumerate(found)]
    used = {cap.scope: Use(cap.usd * share, answers) for cap, (_, share, answers) in zip(caps, found, strict=True)}
    suggested = optimise(caps, used)
    assert sum(a.suggested_usd for a in suggested) == pytest.approx(sum(cap.usd for cap in caps), abs=0.01 * len(caps))
    for allocation in suggested:
        assert allocation.limit_usd * FLOOR - 0.01 <= allocation.suggested_usd <= allocation.limit_usd * CEILING + 0.01


def test_uses_are_averages_per_window():
    found = uses([line(nano=6_000_000_000, ok=30), line(model="m2", nano=4_000_000_000, ok=10)], 4)
    assert found["provider:alpha"] == Use(2.5, 10.0)
    assert found["model:alpha/m2"].efficiency == 2.5


CSV = "Date,Model,Cost\n2026-11-21,m1,1.00\n2026-11-21T10:00:00Z,m1,$0.50\n2026-11-20,m2,3\n"


def test_an_export_is_read_by_the_names_of_its_columns():
    assert read(CSV) == (Row("2026-11-21", "m1", 1.0), Row("2026-11-21", "m1", 0.5), Row("2026-11-20", "m2", 3.0))
    assert read('{"data": [{"timestamp": 1795262400, "model": "m1", "usage": 2}]}') == (Row("2026-11-21", "m1", 2.0),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no rows"),
        ("[]", "no rows"),
        ("[1, 2]", "no rows"),
        ("{broken", "no valid JSON"),
        ('{"x": 1}', "no list of rows"),
        ("a,b\n1,2\n", "no column for the day"),
        ("date,model,cost\n2026-11-21,m1,lots\n", "row 2"),
        ("date,model,cost\n2026-11-21,m1,nan\n", "row 2"),
        ("date,model,cost\nsome day,m1,1\n", "row 2"),
        ("date,model,cost\n2026-11-21,m1\n2026-99-21,m1,1\n", "row 2"),
    ],
)
def test_an_export_that_cannot_be_read_says_what_is_missing(text, says):
    with pytest.raises(Unreadable, match=says):
        read(text)


def test_a_reconciliation_says_who_knows_more():
    lines = [
        line(nano=1_500_000_000),
        line(model="m3", nano=2_000_000_000),
        line(model="m4", nano=5_000_000_000, uncertain_nano=4_000_000_000),
        line(at=1_700_000_000, nano=9),
    ]
    rows = [
        Row("2026-11-21", "m1", 1.505),
        Row("2026-11-20", "m2", 3.0),
        Row("2026-11-21", "m3", 2.5),
        Row("2026-11-21", "m4", 2.0),
    ]
    found = reconcile(rows, lines)
    assert {d.model: d.verdict.split(":")[0] for d in found.differences} == {
        "m1": "agree",
        "m2": "not in the ledger",
        "m3": "the provider charged more",
        "m4": "explained by calls of processes that died",
    }
    assert (found.agree, round(found.theirs_usd, 6), found.ours_usd) == (False, 9.005, 8.5)
