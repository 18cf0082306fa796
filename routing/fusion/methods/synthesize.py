"""A judge writes one answer out of all and lists what they contradict each other in."""

from ..judge import SYNTHESIS_SCHEMA, read, shuffled, strings, synthesizing
from ..types import Consult, Deciding, Method, Poll, Verdict
from ..weights import weight
from ._similar import grouped, spoken


def decide(poll: Poll) -> Deciding:
    """Ask; a reply that is no JSON is taken as the answer; without one the best member answers."""
    ballots = shuffled(spoken(poll.ballots), poll.seed)
    groups = grouped(ballots, [[at] for at in range(len(ballots))], weight)
    if len(ballots) < 2:
        return Verdict(groups, groups[0] if groups else None)
    reply = yield Consult(synthesizing(poll.question, [ballot.text for ballot in ballots]), SYNTHESIS_SCHEMA)
    if not isinstance(reply, str) or not reply.strip():
        return Verdict(groups, groups[0], trouble="no judge answered: the best member answers", standing="split")
    found = read(reply)
    if found is None or not str(found.get("answer", "")).strip():
        return Verdict(groups, groups[0], text=reply.strip(), trouble="the judge gave no analysis", standing="split")
    consensus, contradictions = strings(found, "consensus"), strings(found, "contradictions")
    return Verdict(
        groups,
        groups[0],
        text=str(found["answer"]),
        judged=True,
        standing="split" if contradictions else "agreed",
        analysis={"consensus": consensus, "contradictions": contradictions},
    )


method = Method(decide, judged=True, note="one judge call")
