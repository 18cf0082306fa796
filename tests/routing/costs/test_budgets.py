"""Windows meet without gap or overlap in every zone, through every change of the clock; caps are what they say."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.costs.budgets import Cap, Plan, midnight, nano, window

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",  # turns its clock at midnight
    "Asia/Beirut",  # did so too
    "Africa/Cairo",
    "Australia/Lord_Howe",  # half an hour
    "Asia/Kathmandu",
    "Pacific/Apia",  # left out a day in 2011
    "local",
)


@given(st.floats(min_value=1.2e9, max_value=2.2e9), st.sampled_from(ZONES), st.sampled_from(["day", "month"]))
def test_every_moment_lies_in_exactly_one_window_and_windows_meet(at, zone, period):
    starts, ends = window(period, at, zone)
    assert starts <= at < ends
    assert window(period, starts, zone) == window(period, ends - 0.001, zone) == (starts, ends)
    assert window(period, ends, zone)[0] == ends
    assert window(period, starts - 0.001, zone)[1] == starts


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        ("2026-03-29", "Europe/Berlin", 23),
        ("2026-10-25", "Europe/Berlin", 25),
        ("2026-09-06", "America/Santiago", 23),
        ("2026-04-04", "America/Santiago", 25),
        ("2026-11-21", "Europe/Berlin", 24),
    ],
)
def test_a_day_has_as_many_hours_as_its_zone_gives_it(day, zone, hours):
    noon = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=ZoneInfo(zone)).timestamp()
    starts, ends = window("day", noon, zone)
    assert (ends - starts) / 3600 == hours


def test_a_month_ends_where_the_next_begins():
    end_of_year = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
    starts, ends = window("month", end_of_year, "UTC")
    assert datetime.fromtimestamp(starts, UTC).isoformat() == "2026-12-01T00:00:00+00:00"
    assert datetime.fromtimestamp(ends, UTC).isoformat() == "2027-01-01T00:00:00+00:00"
    assert midnight(datetime(2027, 1, 1).date(), "UTC") == ends


def test_ten_dollars_a_day_are_the_budget_of_those_who_set_none():
    (limit,) = Plan().limits(1.8e9, ("global", "provider:x"))
    assert (limit.cap, limit.period, limit.window.scope) == (10 * 10**9, "day", "global")


def test_of_two_caps_for_the_same_the_lower_one_counts():
    plan = Plan((Cap("global", "day", 5.0), Cap("global", "day", 2.0), Cap("global", "month", 9.0)), zone="UTC")
    assert [limit.cap for limit in plan.all_limits(1.8e9)] == [2 * 10**9, 9 * 10**9]


def test_alerts_are_amounts_and_being_over_is_one_of_them():
    (limit,) = Plan((Cap("global", "day", 10.0),), alerts=(0.5, 0.9)).limits(1.8e9, ("global",))
    assert limit.alerts == (5 * 10**9, 9 * 10**9, 10 * 10**9 + 1)


@pytest.mark.parametrize("usd", [float("nan"), -0.01, float("inf"), 1e10])
def test_amounts_that_are_none_are_refused(usd):
    with pytest.raises(ValueError, match="not an amount"):
        Plan((Cap("global", "day", usd),))


@pytest.mark.parametrize("scope", ["", "everything", "provider:", "galaxy:x", "global:x"])
def test_scopes_that_do_not_exist_are_refused(scope):
    with pytest.raises(ValueError, match="not a budget's scope"):
        Plan((Cap(scope, "day", 1.0),))


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", ""])
def test_zones_that_do_not_exist_are_refused(zone):
    with pytest.raises(ValueError, match="not a time zone"):
        Plan(zone=zone)


@given(st.integers(min_value=0, max_value=10**17))
def test_dollars_become_nano_dollars_without_dust(amount):
    assert abs(nano(amount / 10**9) - amount) <= max(1, amount // 10**15)
