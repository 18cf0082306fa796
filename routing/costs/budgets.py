"""Budgets as arithmetic: which windows apply to what, where they begin and end, when somebody shall be told. Pure.

A day begins at local midnight, a month at that of its first day, whatever daylight saving does in between: windows
meet without gap or overlap, because each ends where the next one starts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ..store.ledger import Limit, Period, Window
from ..types import NANO

Edge = Literal["refuse", "cheaper", "ask"]
Unpriced = Literal["allow", "refuse"]


@dataclass(frozen=True, slots=True)
class Cap:
    """One configured budget. `scope` is `global`, `provider:x`, `model:provider/model`, `caller:x` or `task:x`."""

    scope: str
    period: Period
    usd: float


@dataclass(frozen=True, slots=True)
class Plan:
    """All budgets of this process, and what happens at their edge. Caps of one scope and period: the lowest counts.

    Two processes may have different plans over the same file: each keeps its own caps against what all have spent.
    Raises ValueError for amounts that are no amounts, unknown scopes and time zones.
    """

    caps: tuple[Cap, ...] = (Cap("global", "day", 10.0),)
    zone: str = "local"
    alerts: tuple[float, ...] = (0.5, 0.8, 0.9)
    at_edge: Edge = "refuse"
    unpriced: Unpriced = "allow"
    _by_scope: dict[str, tuple[tuple[Period, int], ...]] = field(init=False, repr=False, compare=False)
    _known: dict[tuple[str, Period], Limit] = field(
        default_factory=dict[Any, Any], init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        zone_of(self.zone)
        lowest: dict[tuple[str, Period], int] = {}
        for cap in self.caps:
            key = _known(cap.scope), cap.period
            lowest[key] = min(nano(cap.usd), lowest.get(key, nano(cap.usd)))
        by_scope: dict[str, tuple[tuple[Period, int], ...]] = {}
        for (scope, period), amount in lowest.items():
            by_scope[scope] = (*by_scope.get(scope, ()), (period, amount))
        object.__setattr__(self, "_by_scope", by_scope)

    def limits(self, at: float, scopes: Sequence[str]) -> tuple[Limit, ...]:
        """The budgets that apply to these scopes at this time."""
        found: list[Limit] = []
        for scope in scopes:
            for period, cap in self._by_scope.get(scope, ()):
                known = self._known.get((scope, period))  # the last window asked for: calendars are slow
                if known is None or not known.window.starts <= at < known.window.ends:
                    starts, ends = window(period, at, self.zone)
                    known = Limit(Window(scope, starts, ends), period, cap, self._amounts(cap))
                    self._known[scope, period] = known
                found.append(known)
        return tuple(found)

    def scopes(self, caller: str, task: str) -> tuple[str, ...]:
        """Every scope with a budget in which a call of this caller and task might count, wherever it goes."""
        own = f"caller:{caller}", f"task:{task}"
        return tuple(s for s in self._by_scope if s in own or not s.startswith(("caller:", "task:")))

    def all_limits(self, at: float) -> tuple[Limit, ...]:
        """Every budget's window at this time."""
        return self.limits(at, tuple(self._by_scope))

    def _amounts(self, cap: int) -> tuple[int, ...]:
        """What is worth telling once: the shares, and being above the cap."""
        return (*(amount for share in self.alerts if (amount := round(cap * share)) > 0), cap + 1)


def nano(usd: float) -> int:
    """Dollars as integer nano-dollars. Raises ValueError for NaN, negative and absurd amounts."""
    if not 0 <= usd <= 1e9:  # also refuses NaN
        raise ValueError(f"{usd} is not an amount of dollars: it must lie between 0 and a billion")
    return round(usd * NANO)


def window(period: Period, at: float, zone: str) -> tuple[int, int]:
    """Start and end of the window that holds `at`, in seconds since the epoch; the end belongs to the next one."""
    day = _day(at, zone)
    starts, ends = _edges(period, day, zone)
    # A zone that turned its clock back over midnight has an hour of two days: the window that began last counts.
    if at >= ends:
        starts, ends = _edges(period, day + timedelta(days=1), zone)
    elif at < starts:
        starts, ends = _edges(period, day - timedelta(days=1), zone)
    return starts, ends


@lru_cache(maxsize=64)
def _edges(period: Period, day: date, zone: str) -> tuple[int, int]:
    if period == "day":
        return midnight(day, zone), midnight(day + timedelta(days=1), zone)
    first = day.replace(day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    return midnight(first, zone), midnight(following, zone)


def midnight(day: date, zone: str) -> int:
    """When a day begins in a zone, in seconds since the epoch."""
    # A naive datetime is what the platform's local zone, with its daylight saving, is asked by.
    return int(datetime(day.year, day.month, day.day, tzinfo=zone_of(zone)).timestamp())


def _day(at: float, zone: str) -> date:
    return datetime.fromtimestamp(at, tz=zone_of(zone)).date()


@lru_cache(maxsize=8)
def zone_of(zone: str) -> tzinfo | None:
    """The zone of this name; None stands for the platform's own. Raises ValueError."""
    if zone == "local":
        return None
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{zone!r} is not a time zone: say `local`, `UTC`, or a name such as Europe/Berlin") from None


def _known(scope: str) -> str:
    kind, colon, name = scope.partition(":")
    if scope == "global" or (kind in ("provider", "model", "caller", "task") and colon and name):
        return scope
    raise ValueError(f"{scope!r} is not a budget's scope: say global, provider:x, model:p/m, caller:x or task:x")
