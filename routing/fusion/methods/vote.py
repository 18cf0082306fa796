"""One member, one vote; a tie goes to the group with the best member. Not safe when one model is clearly best."""

from ..stopping import groups
from ..types import Deciding, Method, Poll, Verdict
from ..weights import equal


def decide(poll: Poll) -> Deciding:
    """Count."""
    yield from ()
    counted = groups(poll.ballots, equal)
    return Verdict(counted, counted[0] if counted else None)


method = Method(decide, keyed=True, weigh=equal, note="loses 1.4 to 4.0 points where one model is clearly best")
