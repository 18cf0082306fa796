"""The pure rules: who sits on a panel, when it is enough, how sure that makes, what feedback changes."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.simulator import SimProvider
from providers.types import Message, ModelCard, Price, Request, Text
from routing.fusion.answers import Found
from routing.fusion.calibration import LEAST, isotonic, learn
from routing.fusion.confidence import Evidence, confidence
from routing.fusion.infer import Wanted, spec
from routing.fusion.panel import admitted, distinct
from routing.fusion.stopping import groups, stops
from routing.fusion.types import Ballot, Member
from routing.fusion.weights import equal, weight
from routing.store.marks import Mark
from routing.strategies.cascade import rank
from routing.types import Deployment, Signals


def member(name: str, quality: float, **known) -> Member:
    card = ModelCard(name, family=known.pop("family", name), quality={"default": quality})
    return Member(Deployment(name, "m", name, card, Price(1.0, 1.0), SimProvider(), **known), quality)


def ballot(name: str, quality: float, key: str | None) -> Ballot:
    found = Found(key, key) if key is not None else None
    return Ballot(member(name, quality), "answered" if found else "abstained", key or "", found)


def test_the_panel_rule_admits_who_errs_at_most_twice_as_often_as_the_best():
    panel = admitted([member("a", 0.9), member("b", 0.8), member("c", 0.79)])
    assert [m.name for m in panel.members] == ["a/m", "b/m"]
    assert [name for name, _ in panel.excluded] == ["c/m"]


def test_the_weights_are_those_of_the_guide():
    assert [round(weight(p), 2) for p in (0.95, 0.9, 0.8, 0.7, 0.5, 0.3)] == [3.94, 3.20, 2.39, 1.85, 1.00, 0.15]


def test_one_model_at_three_providers_is_one_vote():
    panel = distinct([member("a", 0.8, group="llama-3"), member("b", 0.9, group="Llama 3"), member("c", 0.7)])
    assert [m.name for m in panel.members] == ["b/m", "c/m"]


ballots = st.lists(st.tuples(st.floats(0.05, 0.97), st.sampled_from("ABC") | st.none()), min_size=1, max_size=7)


@given(ballots, st.randoms())
def test_the_winner_does_not_depend_on_the_order_of_arrival(told: list, dice: random.Random):
    heard = [ballot(f"p{at}", quality, key) for at, (quality, key) in enumerate(told)]
    mixed = dice.sample(heard, len(heard))
    assert [g.key for g in groups(heard, weight)] == [g.key for g in groups(mixed, weight)]


@given(ballots, st.integers(1, 6))
def test_what_is_decided_cannot_be_overturned_by_who_is_not_yet_asked(told: list, cut: int):
    heard = [ballot(f"p{at}", quality, key) for at, (quality, key) in enumerate(told)]
    first, rest = heard[:cut], heard[cut:]
    if stops("decided", first, [b.member for b in rest], weight):
        assert groups(first, weight)[0].key == groups(heard, weight)[0].key


def test_a_tie_goes_to_the_group_of_the_best_member():
    counted = groups([ballot("a", 0.7, "X"), ballot("b", 0.9, "Y")], equal)
    assert counted[0].key == "Y"


def test_nothing_stops_on_silence():
    silent = [ballot("a", 0.9, None), ballot("b", 0.9, None)]
    assert not stops("agree2", silent, [], weight)
    assert not stops("decided", silent, [], weight)


@pytest.mark.parametrize("table", ["open", "choice"])
@pytest.mark.parametrize("rule", ["agree2", "decided", "full"])
@pytest.mark.parametrize("asked", range(1, 12))
def test_a_confidence_is_never_certainty(table, rule, asked):
    for votes in range(1, asked + 1):
        told = confidence(Evidence(table, rule, votes, asked, quality=0.9)).told
        assert 0.0 < told.value < 1.0
        assert told.basis == "default-table"


def test_two_of_three_means_less_when_the_third_was_asked_because_two_disagreed():
    late = confidence(Evidence("open", "agree2", 2, 3)).told.value
    at_once = confidence(Evidence("open", "decided", 2, 3)).told.value
    assert late < at_once


def test_agreement_after_long_reasoning_is_worth_less():
    short, long = (confidence(Evidence("open", "agree2", 2, 2, answer_chars=(n, n))).told.value for n in (400, 4_000))
    assert long < short < 0.99


def test_a_bare_answer_earns_no_bonus_for_being_short():
    bare = confidence(Evidence("open", "agree2", 2, 2, answer_chars=(3, 3))).told.value
    assert bare == pytest.approx(0.93)


def test_few_marks_calibrate_nothing():
    marks = [Mark(str(n), "local", n, n % 2 == 0, table="open", raw=0.9) for n in range(LEAST - 1)]
    assert learn(marks).refine("open", 0.9) is None


def test_a_wrong_answer_says_nothing_about_who_disagreed_with_it():
    learned = learn([Mark("1", "local", 0.0, False, "math", models=("a",), others=("b",))])
    assert learned.quality("a", "math", 0.8) < 0.8
    assert learned.quality("b", "math", 0.8) == pytest.approx(0.8)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_calibration_never_ranks_the_less_sure_above_the_surer(points: list):
    starts, heights = isotonic(points)
    assert list(starts) == sorted(starts)
    assert list(heights) == sorted(heights)
    assert all(0 <= height <= 1 for height in heights)


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        ("What is 17 * 23?", "number"),
        ("How many legs has a spider?", "number"),
        ("Which?\nA) Mars\nB) Jupiter", "choice"),
        ("Which? A) Mars B) Jupiter C) Earth", "choice"),
        ("Is it prime? Answer yes or no.", "label"),
        ("Classify it as one of: spam, ham.", "label"),
        (r"Solve $x^2 + 1 = 0$.", "math"),
        ("[PYTHON]\ndef f(x):\n    return x\nassert f(1) == ??\n[/PYTHON]", "literal"),
        ("Write a function that sorts a list.", "code"),
        ("Tell me about the years 2019-2020.", "text"),
        ("Why is the sky blue?", "text"),
        ("", "text"),
    ],
)
def test_the_kind_of_answer_is_read_off_the_prompt_and_prose_when_in_doubt(prompt, kind):
    assert spec(prompt).kind == kind


def test_what_the_caller_says_goes_before_what_the_prompt_looks_like():
    assert spec("What is 2 + 2?", Wanted("text")).kind == "text"
    assert spec("Which?", Wanted(choices=("a", "b"))).kind == "label"
    assert spec("Which?", Wanted(schema={"type": "object"})).kind == "json"


def routed(prompt: str, cost: dict[str, float], *members: Member):
    signals = Signals(cost_usd={f"{name}/m": usd for name, usd in cost.items()})
    return rank([m.deployment for m in members], Request((Message("user", (Text(prompt),)),)), signals)


def test_a_cascade_asks_two_cheap_ones_of_different_families_before_the_strong_one():
    members = (
        member("strong", 0.9),
        member("mini", 0.75, family="gpt"),
        member("nano", 0.74, family="gpt"),
        member("flash", 0.7, family="gemini"),
        member("dear", 0.89),
    )
    cost = {"strong": 1.0, "mini": 0.05, "nano": 0.04, "flash": 0.03, "dear": 0.9}
    plan = routed("What is 6 * 7?", cost, *members).plan
    assert plan.strong.provider == "strong"
    assert [d.provider for d in plan.cheap] in (["mini", "flash"], ["nano", "flash"])


def test_a_cascade_on_prose_is_plain_cost():
    found = routed(
        "Tell me about Rome.", {"a": 1.0, "b": 0.1, "c": 0.2}, member("a", 0.9), member("b", 0.5), member("c", 0.6)
    )
    assert found.plan is None
    assert found.ranked[0][0].provider == "b"


def test_a_cascade_without_two_families_is_the_strong_one():
    found = routed("What is 6 * 7?", {"a": 1.0, "b": 0.1}, member("a", 0.9), member("b", 0.8))
    assert found.plan is None
    assert found.ranked[0][0].provider == "a"
