"""Cooldowns: guide reliability-and-security §4.2."""

import math

import pytest

from providers.errors import (
    AuthenticationFailed,
    BadRequest,
    ModelNotFound,
    QuotaExhausted,
    RateLimited,
    TimedOut,
    Unavailable,
)
from routing.cooldowns import Cooldowns, CooldownSettings, Notice


@pytest.fixture
def cooldowns(clock):
    return Cooldowns(CooldownSettings(), clock)


def left_s(cooldowns, **how):
    held = cooldowns.wait_s("e", **how)
    return held and held[1]


@pytest.mark.parametrize("error", [RateLimited, Unavailable])
@pytest.mark.parametrize(("stated", "held"), [(7.5, 7.5), (0.001, 0.001), (3600, 3600), (86_400, 3600)])
def test_a_stated_wait_holds_until_then_but_an_hour_at_most(cooldowns, error, stated, held):
    cooldowns.strike("e", error("x", after=stated))
    assert left_s(cooldowns) == pytest.approx(held)


@pytest.mark.parametrize("junk", [None, 0, -1, math.nan, math.inf, -math.inf])
def test_a_rate_limit_without_a_usable_wait_is_guessed_and_doubles_to_a_minute(cooldowns, clock, junk):
    waits = []
    for _ in range(8):
        cooldowns.strike("e", RateLimited("x", after=junk))
        waits.append(left_s(cooldowns))
        clock.now += waits[-1]
    assert waits == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60])


def test_a_burst_refused_at_once_is_one_strike(cooldowns):
    for _ in range(10):
        cooldowns.strike("e", RateLimited("x"))
    assert left_s(cooldowns) == pytest.approx(1)


def test_a_success_starts_the_guesses_over(cooldowns, clock):
    for _ in range(4):
        cooldowns.strike("e", RateLimited("x"))
        clock.now += left_s(cooldowns)
    cooldowns.forgive("e", clock.now)
    cooldowns.strike("e", RateLimited("x"))
    assert left_s(cooldowns) == pytest.approx(1)


def test_a_call_that_began_before_the_hold_forgives_nothing(cooldowns, clock):
    began = clock.now
    clock.now += 1
    cooldowns.strike("e", RateLimited("x", after=30))
    cooldowns.forgive("e", began)
    assert left_s(cooldowns) == pytest.approx(30)


def test_a_shorter_wait_does_not_shorten_a_hold(cooldowns):
    cooldowns.strike("e", RateLimited("x", after=30))
    assert cooldowns.strike("e", RateLimited("x", after=5)) is None
    assert left_s(cooldowns) == pytest.approx(30)


@pytest.mark.parametrize("error", [Unavailable("x"), TimedOut("x"), BadRequest("x", after=9)])
def test_what_states_no_wait_or_is_the_callers_fault_holds_nothing(cooldowns, error):
    assert cooldowns.strike("e", error) is None
    assert left_s(cooldowns) is None


@pytest.mark.parametrize(
    ("error", "held"), [(QuotaExhausted("x"), 900), (AuthenticationFailed("x"), 600), (ModelNotFound("x"), 600)]
)
def test_when_a_long_hold_is_over_one_call_at_a_time_may_look_until_one_succeeds(cooldowns, clock, error, held):
    cooldowns.strike("e", error)
    assert left_s(cooldowns) == pytest.approx(held)
    clock.now += held
    assert left_s(cooldowns) is None
    assert cooldowns.look("e")
    assert left_s(cooldowns) is not None
    cooldowns.looked("e")
    assert left_s(cooldowns) is None
    assert cooldowns.look("e")
    clock.now += 121
    assert left_s(cooldowns) is None, "a look that hangs loses its lease"
    cooldowns.forgive("e", clock.now)
    assert not cooldowns.look("e")
    cooldowns.looked("e")


def test_a_failed_look_holds_again(cooldowns, clock):
    cooldowns.strike("e", QuotaExhausted("x"))
    clock.now += 900
    cooldowns.look("e")
    cooldowns.strike("e", QuotaExhausted("x"))
    assert left_s(cooldowns) == pytest.approx(900)


def test_force_overrides_a_guess_but_nothing_that_was_stated(cooldowns):
    cooldowns.strike("e", RateLimited("x"))
    assert left_s(cooldowns, force=True) is None
    cooldowns.strike("e", RateLimited("x", after=30))
    assert left_s(cooldowns, force=True) == pytest.approx(30)


def test_a_hold_of_another_replica_is_taken_over_but_never_shortens_ours(cooldowns):
    cooldowns.hear([Notice("e", "rate limited", 20)])
    assert left_s(cooldowns) == pytest.approx(20)
    cooldowns.strike("e", RateLimited("x", after=60))
    cooldowns.hear([Notice("e", "rate limited", 20)])
    assert left_s(cooldowns) == pytest.approx(60)
    assert [notice.name for notice in cooldowns.running(own=True)] == ["e"]


def test_what_another_replica_lifts_is_let_go_and_our_own_stays(cooldowns):
    cooldowns.hear([Notice("e", "quota exhausted", 900, trial=True), Notice("f", "rate limited", 9)])
    cooldowns.strike("g", RateLimited("x", after=60))
    assert list(cooldowns.running(own=True)) == [Notice("g", "rate limited", 60)]
    cooldowns.hear([])
    assert [notice.name for notice in cooldowns.running()] == ["g"]


def test_a_hold_can_be_forgotten_by_hand(cooldowns):
    cooldowns.strike("e", RateLimited("x", after=60))
    assert cooldowns.reset("e") and not cooldowns.reset("e")
