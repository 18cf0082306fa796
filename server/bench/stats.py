"""Samples added up: mean, spread, and whether a difference is more than chance. Pure; the random source is passed in."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from .run import Sample

SHUFFLES = 2_000
SURE = 0.05  # below this share of shuffles as far apart, a difference is taken for real


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


def chance(one: Sequence[float], other: Sequence[float], rng: random.Random) -> float:
    """A permutation test of the difference of means: how often chance alone sets them as far apart. 1 of too few."""
    if len(one) < 2 or len(other) < 2:
        return 1.0
    apart = abs(fmean(one) - fmean(other))
    every, count = [*one, *other], 0
    for _ in range(SHUFFLES):
        rng.shuffle(every)
        count += abs(fmean(every[: len(one)]) - fmean(every[len(one) :])) >= apart - 1e-12
    return (count + 1) / (SHUFFLES + 1)
