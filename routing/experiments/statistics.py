"""Whether a difference is more than chance, and how large it may be. Pure; the random source is passed in.

Small samples are resampled (bootstrap, permutation), large ones go by the normal law, which they follow by then.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import NormalDist, fmean, variance

RESAMPLES = 2_000
SMALL = 400  # values up to which resampling is affordable, and needed
Z = 1.959964  # of a 95 % interval


@dataclass(frozen=True, slots=True)
class Difference:
    """Arm minus control, its 95 % interval, and how often chance alone would set them as far apart."""

    value: float
    low: float
    high: float
    p: float


def interval(
    values: Sequence[float], rng: Random, of: Callable[[Sequence[float]], float] = fmean
) -> tuple[float, float]:
    """95 % of a mean (or another figure) of these values; the value itself where there is but one."""
    if len(values) < 2:
        return (values[0], values[0]) if values else (0.0, 0.0)
    if len(values) > SMALL and of is fmean:
        half = Z * math.sqrt(variance(values) / len(values))
        return fmean(values) - half, fmean(values) + half
    found = sorted(of(rng.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return found[int(RESAMPLES * 0.025)], found[int(RESAMPLES * 0.975) - 1]


def paired(differences: Sequence[float], rng: Random) -> Difference | None:
    """Of values measured on the same asks. None of fewer than two."""
    if len(differences) < 2:
        return None
    mean = fmean(differences)
    low, high = interval(differences, rng)
    if len(differences) > SMALL:
        return Difference(mean, low, high, _normal(mean, variance(differences) / len(differences)))
    as_far = 0
    for _ in range(RESAMPLES):
        flipped = sum(d if rng.random() < 0.5 else -d for d in differences) / len(differences)
        as_far += abs(flipped) >= abs(mean) - 1e-15
    return Difference(mean, low, high, (as_far + 1) / (RESAMPLES + 1))


def unpaired(control: Sequence[float], arm: Sequence[float], rng: Random) -> Difference | None:
    """Of values measured on different asks. None where one side has fewer than two."""
    if len(control) < 2 or len(arm) < 2:
        return None
    mean = fmean(arm) - fmean(control)
    spread = variance(control) / len(control) + variance(arm) / len(arm)
    if len(control) + len(arm) > SMALL:
        half = Z * math.sqrt(spread)
        return Difference(mean, mean - half, mean + half, _normal(mean, spread))
    drawn = sorted(_mean_of(rng, arm) - _mean_of(rng, control) for _ in range(RESAMPLES))
    low, high = drawn[int(RESAMPLES * 0.025)], drawn[int(RESAMPLES * 0.975) - 1]
    return Difference(mean, low, high, chance(control, arm, rng))


def chance(one: Sequence[float], other: Sequence[float], rng: Random, shuffles: int = RESAMPLES) -> float:
    """A permutation test of the difference of means: how often chance alone sets them as far apart. 1 of too few."""
    if len(one) < 2 or len(other) < 2:
        return 1.0
    apart = abs(fmean(one) - fmean(other))
    every, count = [*one, *other], 0
    for _ in range(shuffles):
        rng.shuffle(every)
        count += abs(fmean(every[: len(one)]) - fmean(every[len(one) :])) >= apart - 1e-12
    return (count + 1) / (shuffles + 1)


def shares(control: tuple[int, int], arm: tuple[int, int]) -> Difference | None:
    """Of two shares, each as (hits, of how many): Newcombe's interval, Fisher's exact test. None of an empty side."""
    if not control[1] or not arm[1]:
        return None
    one, other = control[0] / control[1], arm[0] / arm[1]
    (low_one, high_one), (low_other, high_other) = wilson(*control), wilson(*arm)
    value = other - one
    low = value - math.sqrt((other - low_other) ** 2 + (high_one - one) ** 2)
    high = value + math.sqrt((high_other - other) ** 2 + (one - low_one) ** 2)
    return Difference(value, low, high, _fisher(control, arm))


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share."""
    if not of:
        return 0.0, 1.0
    share, weight = hits / of, Z * Z / of
    middle, half = share + weight / 2, Z * math.sqrt(share * (1 - share) / of + weight / (4 * of))
    return max(0.0, (middle - half) / (1 + weight)), min(1.0, (middle + half) / (1 + weight))


def _mean_of(rng: Random, values: Sequence[float]) -> float:
    return fmean(rng.choices(values, k=len(values)))


def _normal(mean: float, spread: float) -> float:
    if spread <= 0:
        return 1.0 if mean == 0 else 0.0
    return 2 * (1 - NormalDist().cdf(abs(mean) / math.sqrt(spread)))


def _fisher(control: tuple[int, int], arm: tuple[int, int]) -> float:
    """Two-sided: the tables with these margins that are no likelier than the one seen."""
    (a, n), (b, m) = control, arm
    hits = a + b
    whole = _choose(n + m, hits)

    def likely(x: int) -> float:
        return math.exp(_choose(n, x) + _choose(m, hits - x) - whole)

    seen = likely(a) * (1 + 1e-9)
    return min(1.0, sum(p for x in range(max(0, hits - m), min(hits, n) + 1) if (p := likely(x)) <= seen))


def _choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
