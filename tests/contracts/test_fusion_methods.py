"""One suite over every fusion method there is: built in, or from another package."""

import pytest

from providers.simulator import SimProvider
from providers.types import ModelCard
from routing.fusion import methods
from routing.fusion.answers import Spec, extract
from routing.fusion.types import Ballot, Consult, Embed, Member, Poll
from routing.types import Deployment

REPLIES = {
    "no judge": lambda wish: None,
    "a judge that talks": lambda wish: "I think they are all lovely." if isinstance(wish, Consult) else None,
    "a judge that lies": lambda wish: (
        '{"best": "ZZ", "clusters": [["ZZ"], 7], "answer": ""}' if isinstance(wish, Consult) else []
    ),
    "a judge that works": lambda wish: (
        '{"best": "A", "clusters": [["A", "B"], ["C"]], "answer": "so it is", "contradictions": []}'
        if isinstance(wish, Consult)
        else [(1.0, 0.0)] * len(wish.texts)
    ),
}


def member(name: str, quality: float) -> Member:
    return Member(Deployment(name, "m", name, ModelCard("m", family=name), None, SimProvider()), quality)


def poll(*texts: str | None, kind: str = "choice") -> Poll:
    spec = Spec(kind)
    ballots = []
    for at, text in enumerate(texts):
        found = extract(text, spec) if text else None
        status = "answered" if found else "abstained"
        ballots.append(Ballot(member(f"p{at}", 0.9 - at / 100), status, text or "", found))
    return Poll("Which?", spec, tuple(ballots), seed=7)


def decided(name: str, asked: Poll, reply):
    deciding = methods.load(name).decide(asked)
    try:
        wish = next(deciding)
        for _ in range(20):
            assert isinstance(wish, Consult | Embed)
            wish = deciding.send(reply(wish))
        raise AssertionError("a method must come to an end")
    except StopIteration as done:
        return done.value


@pytest.fixture(params=methods.names())
def name(request) -> str:
    return request.param


@pytest.fixture(params=REPLIES.values(), ids=REPLIES.keys())
def reply(request):
    return request.param


def test_it_comes_to_a_verdict_whatever_the_judge_says(name, reply):
    verdict = decided(name, poll("The answer is (A).", "The answer is (A).", "The answer is (B)."), reply)
    assert verdict.groups
    members = [ballot.member.name for group in verdict.groups for ballot in group.ballots]
    assert sorted(members) == ["p0/m", "p1/m", "p2/m"]
    if not methods.load(name).collects:
        assert verdict.winner in verdict.groups


def test_nobody_answered_means_no_winner(name, reply):
    verdict = decided(name, poll(None, None), reply)
    assert (verdict.winner, verdict.groups) == (None, ())


def test_one_answer_is_not_compared_with_anything(name, reply):
    verdict = decided(name, poll("The answer is (A).", None), reply)
    assert len(verdict.groups) == 1
    assert not verdict.trouble


def test_the_order_of_arrival_changes_nothing(name):
    asked = poll("The answer is (A).", "The answer is (B).", "The answer is (C).")
    backwards = Poll(asked.question, asked.spec, asked.ballots[::-1], asked.seed)
    one, other = (decided(name, each, REPLIES["no judge"]) for each in (asked, backwards))
    assert (one.winner and one.winner.speaker.member) == (other.winner and other.winner.speaker.member)


def test_a_failing_judge_is_never_silent(name):
    if methods.load(name).judged:
        verdict = decided(name, poll("Rome.", "Athens.", kind="text"), REPLIES["no judge"])
        assert verdict.trouble
        assert not verdict.judged


def test_an_unknown_name_is_no_method():
    with pytest.raises(KeyError):
        methods.load("no_such_method")
