"""Cost, quality and performance weighed (`[routing] weights`); the default."""

from collections.abc import Sequence
from functools import lru_cache

from providers.types import Request

from ..types import Deployment, Ranking, Signals
from ._measures import decades, of, qualities, ranking

WEIGHTS = {"cost": 0.35, "quality": 0.40, "performance": 0.25}  # contract §2


def rank(deployments: Sequence[Deployment], request: Request, signals: Signals) -> Ranking:
    """Score = weighted mean of quality and of cost and time on a logarithmic scale (one decade = half the way)."""
    del request
    weights = signals.weights
    cost, quality, performance, reason = _shares(*[weights.get(part, own) for part, own in WEIGHTS.items()])
    parts = zip(
        decades(of(deployments, signals.cost_usd)),
        qualities(deployments, signals),
        decades(of(deployments, signals.time_s)),
        strict=True,
    )
    scores = [cost * c + quality * q + performance * t for c, q, t in parts]
    return ranking(deployments, scores, reason)


@lru_cache(maxsize=64)
def _shares(cost: float, quality: float, performance: float) -> tuple[float, float, float, str]:
    total = cost + quality + performance or 1.0
    c, q, t = cost / total, quality / total, performance / total
    return c, q, t, f"cost {c:.0%}, quality {q:.0%}, performance {t:.0%}"
