"""Scales that strategies share: from costs, qualities and times to scores 0..1. Pure."""

import math
from collections.abc import Mapping, Sequence
from operator import itemgetter

from ..types import Deployment, Ranking, Signals

NOTHING = 1e-15  # USD, seconds or grams that are none
SPAN = 2.0  # decades of price from the cheapest (1) to where dearer makes no more difference (0)


def qualities(deployments: Sequence[Deployment], signals: Signals) -> list[float]:
    """Quality 0..1 at this kind of task, as the card says."""
    kind, tables = signals.kind, [deployment.card.quality for deployment in deployments]
    return [table[kind] if kind in table else table.get("default", 0.5) for table in tables]


def of(deployments: Sequence[Deployment], expected: Mapping[str, float]) -> list[float]:
    """One value per candidate. A candidate nothing is known of counts as 0."""
    return [expected.get(deployment.name, 0.0) for deployment in deployments]


def inverse(values: Sequence[float]) -> list[float]:
    """Least / value: the least scores 1, twice as much 0.5. Zeros score 1 and count as a tenth of the least other."""
    least = _least(values)
    return [1.0 if value <= NOTHING else least / value for value in values]


def decades(values: Sequence[float]) -> list[float]:
    """1 for the least, less by 1 / SPAN for each factor of ten above it, never below 0."""
    if len(values) == 1:
        return [1.0]
    log10, top = math.log10, 1 + math.log10(_least(values)) / SPAN
    scores = [1.0 if value <= NOTHING else top - log10(value) / SPAN for value in values]
    return [score if score > 0 else 0.0 for score in scores]


def _least(values: Sequence[float]) -> float:
    least = min(values, default=1.0)
    return least if least > NOTHING else min((value for value in values if value > NOTHING), default=1.0) / 10


def ranking(deployments: Sequence[Deployment], scores: Sequence[float], reason: str) -> Ranking:
    """Best first; equals keep their order."""
    pairs = sorted(zip(deployments, scores, strict=True), key=itemgetter(1), reverse=True)
    return Ranking(tuple(pairs), reason)
