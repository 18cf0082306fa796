"""What the month will have cost by its end, with an interval and in words what that stands on. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

Z80 = 1.2816  # 80 % of a normal distribution lie within this many standard deviations
ENOUGH = 7  # days from which weekdays and weekends are both seen


@dataclass(frozen=True, slots=True)
class Forecast:
    """USD at the end of the month: most likely, and the bounds of an 80 % interval. None where nothing can be said."""

    month_end_usd: float | None
    low_usd: float | None
    high_usd: float | None
    basis: str


def forecast(days: Sequence[float], spent: float, left: float) -> Forecast:
    """From whole past days (USD each, oldest first), what this month has cost so far, and the days left in it."""
    if not days:
        return Forecast(None, None, None, "no whole day has been seen yet")
    rate = fmean(days)
    expected = spent + rate * left
    if len(days) < ENOUGH:
        # Too few to know the spread: the month may stop here, or go on at the dearest day seen.
        return Forecast(expected, spent, spent + max(days) * left, f"only {_days(len(days))} seen: a rough guess")
    # Spread of a sum of future days, and of the mean they are expected to have.
    spread = Z80 * stdev(days) * sqrt(left + left * left / len(days))
    low, high = max(spent, expected - spread), expected + spread
    return Forecast(expected, low, high, f"mean of the last {_days(len(days))}, 80 % interval")


def _days(count: int) -> str:
    return f"{count} day{'s' if count > 1 else ''}"
