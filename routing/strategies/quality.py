"""The best at this kind of task first; cost only decides between equals."""

from collections.abc import Sequence

from providers.types import Request

from ..types import Deployment, Ranking, Signals
from ._measures import decades, of, qualities, ranking


def rank(deployments: Sequence[Deployment], request: Request, signals: Signals) -> Ranking:
    """Score = quality, with a hundredth of it for being cheap."""
    del request
    cheap = decades(of(deployments, signals.cost_usd))
    scores = [0.99 * q + 0.01 * c for q, c in zip(qualities(deployments, signals), cheap, strict=True)]
    return ranking(deployments, scores, f"best quality at {signals.kind}")
