"""A judge picks the best answer, asked twice in opposite orders: what it only picks for its place is no verdict."""

from collections.abc import Generator

from ..judge import SELECT_SCHEMA, chosen, selecting, shuffled
from ..types import Consult, Deciding, Method, Poll, Reply, Verdict, Wish
from ..weights import weight
from ._similar import grouped, spoken


def decide(poll: Poll) -> Deciding:
    """Ask; on a change of mind, or without a judge, the better member of those in question speaks."""
    ballots = shuffled(spoken(poll.ballots), poll.seed)
    groups = grouped(ballots, [[at] for at in range(len(ballots))], weight)
    if len(ballots) < 2:
        return Verdict(groups, groups[0] if groups else None)
    texts = [ballot.text for ballot in ballots]
    picks = {ballots[at].member.name for at in (yield from _both_orders(poll.question, texts))}
    named = [group for group in groups if group.speaker.member.name in picks]
    if not named:
        return Verdict(groups, groups[0], trouble="no judge gave a verdict: the best member answers", standing="split")
    if len(named) > 1:
        trouble = "the judge changed its mind with the order: the better member of its two picks answers"
        return Verdict(groups, named[0], trouble=trouble, standing="split")
    return Verdict(groups, named[0], standing="majority", judged=True)


def _both_orders(question: str, texts: list[str]) -> Generator[Wish, Reply, list[int]]:
    count = len(texts)
    places: list[int] = []
    reply = yield Consult(selecting(question, texts), SELECT_SCHEMA)
    if (at := chosen(reply if isinstance(reply, str) else None, count)) is not None:
        places.append(at)
    reply = yield Consult(selecting(question, texts[::-1]), SELECT_SCHEMA)
    if (at := chosen(reply if isinstance(reply, str) else None, count)) is not None:
        places.append(count - 1 - at)
    return places


method = Method(decide, judged=True, note="two judge calls")
