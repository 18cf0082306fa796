"""Where next and when, after each kind of failure. Rules: guide reliability-and-security §4.3 and §4.4."""

import pytest
from doubles import sim
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from providers.errors import (
    AuthenticationFailed,
    BadRequest,
    ConnectFailed,
    ContentRefused,
    ContextTooLong,
    Malformed,
    ModelNotFound,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    TimedOut,
    Truncated,
    Unavailable,
)
from providers.types import ModelCard
from routing.contract import CutShort, EmptyAnswer, WrongSchema
from routing.itinerary import Hop, Itinerary, RetryTokens, Stop
from routing.settings import RetrySettings

A, B, C = sim("a"), sim("b"), sim("c")


def route(*order, held=(), deadline=120.0, tokens=None, draw=lambda: 0.5, **known):
    tokens = tokens or RetryTokens(RetrySettings())
    return Itinerary(order, held, deadline=deadline, tokens=tokens, draw=draw, **known)


def walk(itinerary, *errors, now=0.0):
    """Fail in turn; returns where it went, and how it ended."""
    hops = [itinerary.next(now)]
    for error in errors:
        if isinstance(hops[-1], Stop):
            break
        itinerary.started(hops[-1])
        itinerary.failed(hops[-1], error, now)
        hops.append(itinerary.next(now))
    return hops


def who(hops):
    return [hop.deployment.provider if isinstance(hop, Hop) else hop.why for hop in hops]


def test_the_next_is_asked_at_once():
    hops = walk(route(A, B, C), Unavailable("x"), Truncated("x"))
    assert who(hops) == ["a", "b", "c"]
    assert [hop.delay_s for hop in hops] == [0, 0, 0]


def test_three_attempts_are_all():
    assert who(walk(route(A, B, C, sim("d")), *[Unavailable("x")] * 3)) == ["a", "b", "c", "attempts"]


def test_nobody_is_asked_twice_while_somebody_untried_is_left_and_then_with_jitter():
    hops = walk(route(A, B), ConnectFailed("x"), TimedOut("x"))
    assert who(hops) == ["a", "b", "a"]
    assert hops[2].delay_s == pytest.approx(0.125)


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (Unavailable("x"), True),
        (Truncated("x"), True),
        (Malformed("x"), True),
        (EmptyAnswer("x"), True),
        (TimedOut("x"), False),
        (CutShort("x"), False),
        (ModelNotFound("x"), False),
        (AuthenticationFailed("x"), False),
        (QuotaExhausted("x"), False),
    ],
)
def test_a_lone_deployment_is_asked_a_second_time_only_where_that_can_help(error, again):
    assert who(walk(route(A), error, error)) == (["a", "a", "exhausted"] if again else ["a", "exhausted"])


def test_a_pushback_is_an_exact_delay():
    hops = walk(route(A), RateLimited("x", after=7.25))
    assert hops[1].delay_s == 7.25


def test_a_pushback_beyond_the_deadline_is_an_end_that_says_when():
    assert walk(route(A, deadline=5.0), RateLimited("x", after=7.25))[1] == Stop("deadline", 7.25)


def test_no_attempt_starts_with_less_time_than_a_first_token_takes():
    assert who(walk(route(A, B, deadline=1.9), Unavailable("x"))) == ["a", "deadline"]
    assert who(walk(route(A, B, deadline=1.9, least_s=0.4), Unavailable("x"))) == ["a", "b"]
    slow = {"b/m": 1.95}
    assert who(walk(route(A, B, deadline=1.9, least_s=0.4, ttft_s=slow), Unavailable("x"))) == ["a", "deadline"]


def test_a_bad_request_is_not_shopped_around():
    assert who(walk(route(A, B), BadRequest("x"))) == ["a", "caller"]


def test_a_refusal_is_tried_once_at_another_family():
    sister = sim("a2", card=ModelCard("m", family="a"))
    assert who(walk(route(A, sister, B, C), ContentRefused("x"), ContentRefused("x"))) == ["a", "b", "refused"]
    assert who(walk(route(A, sister), ContentRefused("x"))) == ["a", "exhausted"]


def test_what_was_too_long_goes_only_to_a_larger_window():
    small, large = (sim(n, card=ModelCard("m", family=n, context_window=w)) for n, w in [("s", 8_000), ("l", 200_000)])
    assert who(walk(route(A, small, large), ContextTooLong("x"))) == ["a", "l"]


@pytest.mark.parametrize("error", [AuthenticationFailed("x"), QuotaExhausted("x")])
def test_a_dead_key_takes_its_whole_endpoint_with_it(error):
    same = sim("a", model="other", endpoint="a")
    assert who(walk(route(A, same, B), error)) == ["a", "b"]


def test_after_a_failure_other_endpoints_come_first():
    same = sim("a", model="other", endpoint="a")
    assert who(walk(route(A, same, B), Unavailable("x"), Unavailable("x"))) == ["a", "b", "a"]


def test_a_schema_is_repaired_once_by_the_same_model_then_somebody_else_is_asked():
    hops = walk(route(A, B), WrongSchema("x"), WrongSchema("x"))
    assert who(hops) == ["a", "a", "b"]
    assert [hop.repair for hop in hops] == [False, True, False]
    assert hops[1].delay_s == 0


def test_being_turned_away_is_no_attempt():
    itinerary = route(A, B)
    for deployment in (A, B):
        hop = itinerary.next(0.0)
        assert hop.deployment is deployment
        itinerary.started(hop)
        itinerary.turned_away(hop, 3.0 if deployment is A else 9.0, 0.0)
    later = itinerary.next(0.0)
    assert (later.deployment, later.delay_s) == (A, 3.0)
    assert who(walk(itinerary, *[Unavailable("x")] * 3, now=9.0)) == ["a", "b", "a", "attempts"]


def test_when_all_are_held_back_the_soonest_is_waited_for_or_the_end_says_when():
    assert route(held=[(A, 30.0), (B, 12.0)]).next(0.0) == Hop(B, 12.0)
    assert route(held=[(A, 30.0), (B, 12.0)], deadline=10.0).next(0.0) == Stop("wait", 12.0)
    assert route(held=[(A, 30.0)], deadline=10.0).forced() == Hop(A, force=True, alone=True)


def test_without_candidates_there_is_nothing_to_do():
    assert route().next(0.0) == Stop("exhausted")
    assert route().forced() is None


def test_a_failing_deployment_runs_out_of_retries_until_it_succeeds_again():
    tokens = RetryTokens(RetrySettings(bucket=25.0))
    for _ in range(2):
        assert who(walk(route(A, tokens=tokens), Unavailable("x"))) == ["a", "a"]
        itinerary = route(A, tokens=tokens)
        hop = walk(itinerary, Unavailable("x"))[-1]
        itinerary.started(hop)
        itinerary.failed(hop, Unavailable("x"), 0.0)
    assert tokens.left("a/m") == 5.0
    assert who(walk(route(A, tokens=tokens), Unavailable("x"))) == ["a", "exhausted"]
    for _ in range(5):
        itinerary = route(A, tokens=tokens)
        hop = itinerary.next(0.0)
        itinerary.started(hop)
        itinerary.succeeded(hop)
    assert who(walk(route(A, tokens=tokens), Unavailable("x"))) == ["a", "a"]


def test_a_retry_that_helped_is_refunded():
    tokens = RetryTokens(RetrySettings())
    itinerary = route(A, tokens=tokens)
    hop = walk(itinerary, Unavailable("x"))[-1]
    itinerary.started(hop)
    assert tokens.left("a/m") == 90.0
    itinerary.succeeded(hop)
    assert tokens.left("a/m") == 100.0


ERRORS: list[type[ProviderError]] = [
    Unavailable, ConnectFailed, TimedOut, Malformed, Truncated, RateLimited, QuotaExhausted, AuthenticationFailed,
    ModelNotFound, ContextTooLong, ContentRefused, BadRequest, WrongSchema, EmptyAnswer, CutShort,
]  # fmt: skip


class Journey(RuleBasedStateMachine):
    """Any sequence of failures and refusals to admit keeps the promises."""

    @initialize(
        endpoints=st.lists(st.integers(0, 3), min_size=1, max_size=5),
        held=st.lists(st.floats(0.1, 200), max_size=2),
        deadline=st.floats(1, 200),
    )
    def depart(self, endpoints, held, deadline):
        order = [sim(f"p{i}", endpoint=f"e{e}") for i, e in enumerate(endpoints)]
        later = [(sim(f"h{i}"), at) for i, at in enumerate(held)]
        self.all = [*order, *(d for d, _ in later)]
        self.deadline, self.now = deadline, 0.0
        self.tokens = RetryTokens(RetrySettings(bucket=30.0))
        self.route = Itinerary(order, later, deadline=deadline, tokens=self.tokens, draw=lambda: 0.7)
        self.asked: list[tuple[str, bool]] = []
        self.away: set[str] = set()
        self.refused: list[str] = []
        self.over = False
        self.hop = None
        self.look()

    def look(self):
        found = self.route.next(self.now)
        self.hop = None if isinstance(found, Stop) else found
        self.over = self.hop is None
        if self.hop is not None:
            assert self.now + self.hop.delay_s <= self.deadline
            self.now += self.hop.delay_s

    @precondition(lambda self: not self.over)
    @rule(kind=st.sampled_from(ERRORS), after=st.none() | st.floats(-5, 300), took=st.floats(0, 40))
    def fails(self, kind, after, took):
        name = self.hop.deployment.name
        untried = {d.name for d in self.all} - {n for n, _ in self.asked} - self.away
        if any(n == name for n, _ in self.asked) and not self.hop.repair:
            assert self.hop.delay_s >= 0
            assert name not in untried
        self.route.started(self.hop)
        self.asked.append((name, self.hop.repair))
        self.now += took
        error = kind("x", after=after)
        self.route.failed(self.hop, error, self.now)
        if kind is ContentRefused:
            self.refused.append(name)
        self.look()
        if kind is BadRequest or len(self.refused) > 1:
            assert self.over

    @precondition(lambda self: not self.over)
    @rule(wait=st.floats(0, 100))
    def turns_away(self, wait):
        self.route.started(self.hop)
        self.away.add(self.hop.deployment.name)
        self.route.turned_away(self.hop, wait, self.now)
        self.look()

    @precondition(lambda self: not self.over)
    @rule()
    def is_too_dear(self):
        self.route.started(self.hop)
        gone = self.hop
        self.route.dropped(gone)
        self.look()
        assert self.over or self.hop.deployment is not gone.deployment

    @precondition(lambda self: self.over)
    @rule()
    def stays_over(self):
        self.look()
        assert self.over

    @invariant()
    def promises_hold(self):
        if not hasattr(self, "asked"):
            return
        assert len(self.asked) <= 3
        assert all(sum(n == name for n, _ in self.asked) <= 2 for name, _ in self.asked)
        assert sum(repair for _, repair in self.asked) <= 3
        assert all(self.tokens.left(d.name) >= 0 for d in self.all)


TestJourney = Journey.TestCase
TestJourney.settings = settings(max_examples=150, stateful_step_count=12, deadline=None)
