"""Cost, quality and performance weighed (`[routing] weights`); the default."""

from collections.abc import Sequence

from providers.types import Request

from ..types import Deployment, Ranking, Signals
from ._measures import decades, of, qualities, ranking

WEIGHTS = {"cost": 0.35, "quality": 0.40, "performance": 0.25}  # contract §2


def rank(deployments: Sequence[Deployment], request: Request, signals: Signals) -> Ranking:
    """Score = weighted mean of quality and of cost and time on a logarithmic scale (one decade = half the way)."""
    del request
    weights = {**WEIGHTS, **signals.weights}
    total = sum(weights[part] for part in WEIGHTS) or 1.0
    cost, quality, performance = (weights[part] / total for part in WEIGHTS)
    parts = zip(
        decades(of(deployments, signals.cost_usd)),
        qualities(deployments, signals),
        decades(of(deployments, signals.time_s)),
        strict=True,
    )
    scores = [cost * c + quality * q + performance * t for c, q, t in parts]
    return ranking(deployments, scores, f"cost {cost:.0%}, quality {quality:.0%}, performance {performance:.0%}")
