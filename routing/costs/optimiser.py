"""Where budgets are too tight or too wide, and how the same total would serve better. Pure; applied only when told.

The total stays what it is. Nobody falls below `FLOOR` or rises above `CEILING` times the present limit; between the two
money goes first to what was used, then to who gives more answers for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..store.books import Line
from ..types import NANO
from .budgets import Cap

FLOOR, CEILING = 0.2, 3.0
HEADROOM = 1.25  # above what was used on average: days differ
UNDER, OVER = 0.5, 0.9  # shares of a budget below and above which it is remarkable


@dataclass(frozen=True, slots=True)
class Use:
    """What a scope came to in one window on average, USD, and how many good answers that bought."""

    usd: float
    answers: float

    @property
    def efficiency(self) -> float:
        """Good answers per dollar; 0 where nothing was bought."""
        return self.answers / self.usd if self.usd else 0.0


@dataclass(frozen=True, slots=True)
class Allocation:
    """One budget: what it is, what is used of it, what it might better be. USD per window."""

    scope: str
    period: str
    limit_usd: float
    used_usd: float
    used_share: float
    answers_per_usd: float
    suggested_usd: float
    verdict: str


def optimise(caps: Sequence[Cap], uses: Mapping[str, Use]) -> tuple[Allocation, ...]:
    """Suggestions for caps of one period (`global` aside: it is the sum that is shared out)."""
    shared = [cap for cap in caps if cap.scope != "global"]
    used = [uses.get(cap.scope, Use(0.0, 0.0)) for cap in shared]
    suggested = _shared_out([cap.usd for cap in shared], used)
    return tuple(_allocation(*found) for found in zip(shared, used, suggested, strict=True))


def uses(lines: Sequence[Line], windows: float) -> dict[str, Use]:
    """Averages per window of every scope in these lines, which span so many windows."""
    sums: dict[str, tuple[int, int]] = {}
    for line in lines:
        named = f"model:{line.provider}/{line.model}", f"caller:{line.caller}", f"task:{line.task}"
        for scope in (f"provider:{line.provider}", *named):
            nano, answers = sums.get(scope, (0, 0))
            sums[scope] = nano + line.nano, answers + line.ok
    return {scope: Use(nano / NANO / windows, answers / windows) for scope, (nano, answers) in sums.items()}


def _shared_out(limits: Sequence[float], used: Sequence[Use]) -> list[float]:
    given = [limit * FLOOR for limit in limits]
    left = sum(limits) - sum(given)
    best = max((use.efficiency for use in used), default=0.0) or 1.0
    worth = [use.usd * HEADROOM * (0.5 + 0.5 * use.efficiency / best) for use in used]
    wanted = [
        min(limit * CEILING, max(use.usd * HEADROOM, floor))
        for limit, use, floor in zip(limits, used, given, strict=True)
    ]
    left = _poured(given, wanted, worth, left)
    left = _poured(given, limits, limits, left)  # what nobody needs goes back to where it was
    _poured(given, [limit * CEILING for limit in limits], limits, left)
    return [round(amount, 2) for amount in given]


def _poured(given: list[float], tops: Sequence[float], weights: Sequence[float], left: float) -> float:
    """Fill up towards `tops` by weight, in place; what could not be placed is left."""
    for _ in range(len(given)):
        open_ = [at for at, top in enumerate(tops) if given[at] < top - 1e-9 and weights[at] > 0]
        total = sum(weights[at] for at in open_)
        if not open_ or left <= 1e-9:
            break
        share = left / total
        for at in open_:
            step = min(share * weights[at], tops[at] - given[at])
            given[at] += step
            left -= step
    return left


def _allocation(cap: Cap, use: Use, suggested: float) -> Allocation:
    share = use.usd / cap.usd if cap.usd else 0.0
    verdict = "too tight" if share > OVER else "hardly used" if share < UNDER else "well used"
    return Allocation(cap.scope, cap.period, cap.usd, use.usd, share, use.efficiency, suggested, verdict)
