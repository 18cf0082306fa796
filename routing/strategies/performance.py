"""The fastest first: learned time to first token plus the expected output at the learned speed."""

from collections.abc import Sequence

from providers.types import Request

from ..types import Deployment, Ranking, Signals
from ._measures import inverse, of, ranking


def rank(deployments: Sequence[Deployment], request: Request, signals: Signals) -> Ranking:
    """Score = least time / time."""
    del request
    return ranking(deployments, inverse(of(deployments, signals.time_s)), "least expected time")
