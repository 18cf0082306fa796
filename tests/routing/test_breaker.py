"""The breaker's state machine: guide reliability-and-security §4.1, first by example, then by Hypothesis."""

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from routing.breaker import Breaker, BreakerSettings
from routing.ports import CircuitOpen


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def make(**options):
    moves = []
    clock = Clock()
    breaker = Breaker(
        "p",
        BreakerSettings(**{"jitter": 0.0, **options}),
        clock,
        random.Random(0),
        lambda state, why, for_s: moves.append((state, why, for_s)),
    )
    return breaker, clock, moves


def trip(breaker, failures=5):
    for _ in range(failures):
        breaker.admit().fail()
    assert breaker.state == "open"


def test_five_failures_in_a_row_open_it_for_five_seconds_and_it_says_how_long():
    breaker, clock, moves = make()
    trip(breaker)
    clock.now += 2
    with pytest.raises(CircuitOpen) as caught:
        breaker.admit()
    assert caught.value.wait_s == pytest.approx(3)
    assert moves == [("open", "5 failures in a row", 5.0)]


def test_a_success_between_failures_starts_the_count_anew():
    breaker, _, _ = make()
    for _ in range(4):
        breaker.admit().fail()
    breaker.admit().succeed()
    for _ in range(4):
        breaker.admit().fail()
    assert breaker.state == "closed"


def test_half_of_ten_calls_within_a_minute_failing_opens_it_though_never_five_in_a_row():
    breaker, _, moves = make()
    for turn in range(10):
        assert breaker.state == "closed"
        (breaker.admit().fail if turn % 2 else breaker.admit().succeed)()
    assert breaker.state == "open"
    assert moves[0][1] == "5 of 10 calls failed within 60 s"


def test_failures_older_than_the_window_do_not_count_in_the_rate():
    breaker, clock, _ = make()
    for turn in range(8):
        (breaker.admit().fail if turn % 2 else breaker.admit().succeed)()
    clock.now += 62
    for turn in range(4):
        (breaker.admit().fail if turn % 2 else breaker.admit().succeed)()
    assert breaker.state == "closed"


def test_a_neutral_end_neither_counts_nor_resets_the_count():
    breaker, _, _ = make()
    for _ in range(4):
        breaker.admit().fail()
    breaker.admit().abandon()
    breaker.admit().fail()
    assert breaker.state == "open"


def test_openings_double_up_to_a_minute_and_start_over_once_closed():
    breaker, clock, moves = make(successes=1)
    trip(breaker)
    for _ in range(5):
        clock.now += 60
        breaker.admit().fail()
    assert [for_s for state, _, for_s in moves if state == "open"] == [5, 10, 20, 40, 60, 60]
    clock.now += 60
    breaker.admit().succeed()
    trip(breaker)
    assert moves[-1][2] == 5


def test_openings_are_jittered_by_a_fifth_either_way():
    spans = []
    for seed in range(200):
        moves = []
        breaker = Breaker(
            "p", BreakerSettings(), Clock(), random.Random(seed), lambda *move, moves=moves: moves.append(move)
        )
        trip(breaker)
        spans.append(moves[0][2])
    assert min(spans) >= 4 and max(spans) <= 6 and max(spans) - min(spans) > 1.5


@pytest.mark.parametrize("probes", [1, 3])
def test_half_open_it_admits_as_many_probes_as_configured_and_no_more(probes):
    breaker, clock, _ = make(probes=probes)
    trip(breaker)
    clock.now += 5
    for _ in range(probes):
        assert breaker.admit().probe
    with pytest.raises(CircuitOpen):
        breaker.admit()


def test_two_successful_probes_close_it_and_one_failing_opens_it_longer():
    breaker, clock, moves = make()
    trip(breaker)
    clock.now += 5
    breaker.admit().succeed()
    breaker.admit().fail()
    assert moves[-1] == ("open", "the probe failed", 10)
    clock.now += 10
    breaker.admit().succeed()
    assert breaker.state == "half_open"
    breaker.admit().succeed()
    assert moves[-1] == ("closed", "its probes succeeded", None)


def test_a_cancelled_probe_gives_its_place_back_and_votes_nothing():
    breaker, clock, _ = make()
    trip(breaker)
    clock.now += 5
    breaker.admit().abandon()
    assert breaker.state == "half_open"
    breaker.admit()


def test_a_probe_that_hangs_loses_its_place_after_its_lease():
    breaker, clock, _ = make(lease_s=30)
    trip(breaker)
    clock.now += 5
    breaker.admit()
    assert 0 < breaker.wait_s() <= 30
    clock.now += 31
    assert breaker.wait_s() is None
    breaker.admit()


def test_stragglers_of_an_older_generation_change_nothing():
    breaker, clock, moves = make()
    stragglers = [breaker.admit() for _ in range(9)]
    trip(breaker)
    stragglers[0].fail()
    stragglers[1].succeed()
    clock.now += 5
    probe = breaker.admit()
    for straggler in stragglers[2:5]:
        straggler.succeed()
    assert breaker.state == "half_open"
    probe.succeed()
    breaker.admit().succeed()
    for straggler in stragglers[5:]:
        straggler.fail()
    assert breaker.view().failures == 0
    assert [state for state, _, _ in moves] == ["open", "half_open", "closed"]


def test_only_the_first_end_of_a_ticket_counts():
    breaker, _, _ = make()
    ticket = breaker.admit()
    for _ in range(7):
        ticket.fail()
    assert breaker.view().failures == 1


def test_a_forced_call_probes_before_the_opening_is_over():
    breaker, _, _ = make()
    trip(breaker)
    ticket = breaker.admit(force=True)
    assert ticket.probe and breaker.state == "half_open"
    with pytest.raises(CircuitOpen):
        breaker.admit(force=True)
    ticket.succeed()
    breaker.admit().succeed()
    assert breaker.state == "closed"


@pytest.mark.parametrize("state", ["closed", "open", "half_open"])
def test_a_reset_closes_it_whatever_it_was(state):
    breaker, clock, _ = make()
    straggler = breaker.admit()
    breaker.admit().fail()
    if state != "closed":
        trip(breaker, 4)
    if state == "half_open":
        clock.now += 5
        breaker.admit()
    breaker.reset()
    straggler.fail()
    view = breaker.view()
    assert (view.state, view.failures, view.openings) == ("closed", 0, 0)


class Machine(RuleBasedStateMachine):
    """Random calls, ends and times: probes stay bounded, an opening is kept, the old never move the new."""

    tickets = Bundle("tickets")

    def __init__(self) -> None:
        super().__init__()
        self.breaker, self.clock, self.moves = make(failures=3, probes=2, lease_s=50)
        self.probing = []

    @rule(seconds=st.floats(0, 200))
    def time_passes(self, seconds):
        self.clock.now += seconds

    @rule(target=tickets)
    def ask(self):
        before, wait_s = self.breaker.state, self.breaker.wait_s()
        try:
            ticket = self.breaker.admit()
        except CircuitOpen as refusal:
            assert wait_s is not None and refusal.wait_s >= 0 and before != "closed"
            assert self.breaker.state == before
            return None
        assert wait_s is None
        if ticket.probe:
            self.probing.append(ticket)
        return ticket

    @rule(ticket=tickets, how=st.sampled_from(["succeed", "abandon", "fail"]))
    def end(self, ticket, how):
        if ticket is None:
            return
        before, moves = self.breaker.view(), len(self.moves)
        stale = ticket._done or ticket.generation != self.breaker._generation
        getattr(ticket, how)()
        if ticket in self.probing:
            self.probing.remove(ticket)
        if stale or how == "abandon":
            assert self.breaker.view() == before and len(self.moves) == moves
        elif before.state == "half_open" and how == "fail":
            assert self.breaker.state == "open"
        assert not (before.state == "open" and self.breaker.state != "open")

    @invariant()
    def probes_in_flight_are_bounded(self):
        live = [t for t in self.probing if t.expires > self.clock.now and t.generation == self.breaker._generation]
        assert len(live) <= 2

    @invariant()
    def the_state_is_that_of_the_last_move_told(self):
        assert self.breaker.state == (self.moves[-1][0] if self.moves else "closed")


Machine.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None, database=None)
TestMachine = Machine.TestCase
