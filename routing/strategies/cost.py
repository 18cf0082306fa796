"""The cheapest first, by the expected cost of this very request."""

from collections.abc import Sequence

from providers.types import Request

from ..types import Deployment, Ranking, Signals
from ._measures import inverse, of, ranking


def rank(deployments: Sequence[Deployment], request: Request, signals: Signals) -> Ranking:
    """Score = least cost / cost."""
    del request
    return ranking(deployments, inverse(of(deployments, signals.cost_usd)), "least expected cost")
