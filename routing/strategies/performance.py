"""The fastest first: learned time to first token plus the expected output at the learned speed."""

from collections.abc import Sequence

from providers.types import Request

from ..types import Deployment, Ranking, Signals
from ._measures import inverse, ranking, times


def rank(deployments: Sequence[Deployment], request: Request, signals: Signals) -> Ranking:
    """Score = least time / time."""
    return ranking(deployments, inverse(times(deployments, request, signals)), "least expected time")
