"""Samples added up: mean, spread, reliability. Pure. Whether a difference is more than chance: `chance`, which lives below."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from routing.experiments.statistics import chance

from .run import Sample

SURE = 0.05  # below this share of shuffles as far apart, a difference is taken for real
__all__ = ["SURE", "Score", "Spread", "chance", "qualities", "scores", "spread"]


@dataclass(frozen=True, slots=True)
class Spread:
    """Of one quantity: how many, mean, standard deviation, 95th percentile."""

    n: int
    mean: float
    sd: float
    p95: float


@dataclass(frozen=True, slots=True)
class Score:
    """One model. `reliability` is the share of calls that were answered; USD and tokens are per answer."""

    model: str
    calls: int
    reliability: float
    latency_s: Spread | None
    usd: float | None
    tokens: float | None
    quality: Spread | None


def spread(values: Sequence[float]) -> Spread | None:
    """None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    deviation = stdev(values) if len(values) > 1 else 0.0
    return Spread(len(values), fmean(values), deviation, ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))])


def scores(samples: Sequence[Sample]) -> list[Score]:
    """Per model, best quality first, then cheapest."""
    models = dict.fromkeys(sample.model for sample in samples)
    found = [_score(model, [s for s in samples if s.model == model]) for model in models]
    return sorted(found, key=lambda one: (-(one.quality.mean if one.quality else -1), one.usd or 0.0, one.model))


def _score(model: str, samples: Sequence[Sample]) -> Score:
    good = [sample for sample in samples if sample.outcome == "ok"]
    paid = sum(sample.usd for sample in samples)  # what failed has cost too
    return Score(
        model,
        len(samples),
        len(good) / len(samples),
        spread([sample.latency_s for sample in good]),
        paid / len(good) if good else None,
        fmean(sample.tokens for sample in good) if good else None,
        spread(qualities(samples)),
    )


def qualities(samples: Sequence[Sample]) -> list[float]:
    """Those that are known; a call that failed where a quality could have been known is not among them."""
    return [sample.quality for sample in samples if sample.quality is not None]
