"""Scales that strategies share: from costs, qualities and times to scores 0..1. Pure."""

import math
from collections.abc import Mapping, Sequence

from ..types import Deployment, Ranking, Signals

NOTHING = 1e-15  # USD, seconds or grams that are none
SPAN = 2.0  # decades of price from the cheapest (1) to where dearer makes no more difference (0)


def qualities(deployments: Sequence[Deployment], signals: Signals) -> list[float]:
    """Quality 0..1 at this kind of task, as the card says."""
    kind = signals.kind
    found: list[float] = []
    for deployment in deployments:
        quality = deployment.card.quality
        found.append(quality[kind] if kind in quality else quality.get("default", 0.5))
    return found


def of(deployments: Sequence[Deployment], expected: Mapping[str, float]) -> list[float]:
    """One value per candidate. A candidate nothing is known of counts as 0."""
    return [expected.get(deployment.name, 0.0) for deployment in deployments]


def inverse(values: Sequence[float]) -> list[float]:
    """Least / value: the least scores 1, twice as much 0.5. Zeros score 1 and count as a tenth of the least other."""
    floor = min(values, default=1.0)
    if floor <= NOTHING:
        floor = min((value for value in values if value > NOTHING), default=1.0) / 10
    return [1.0 if value <= NOTHING else floor / value for value in values]


def decades(values: Sequence[float]) -> list[float]:
    """1 for the least, less by 1 / SPAN for each factor of ten above it, never below 0."""
    log10 = math.log10
    return [max(0.0, 1 + log10(share) / SPAN) for share in inverse(values)]


def ranking(deployments: Sequence[Deployment], scores: Sequence[float], reason: str) -> Ranking:
    """Best first; equals keep their order."""
    pairs = sorted(zip(deployments, scores, strict=True), key=lambda pair: -pair[1])
    return Ranking(tuple(pairs), reason)
