"""The cheapest first, by the expected cost of this very request."""

from collections.abc import Sequence

from providers.types import Request

from ..types import Deployment, Ranking, Signals
from ._measures import costs, inverse, ranking


def rank(deployments: Sequence[Deployment], request: Request, signals: Signals) -> Ranking:
    """Score = least cost / cost."""
    return ranking(deployments, inverse(costs(deployments, request, signals)), "least expected cost")
