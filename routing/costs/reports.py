"""The answer to `costs`: sums, budgets, forecast, savings and advice over a period. Fields as in the contract's §3."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..store.books import Books, Habits, Line, Tally
from ..store.ledger import Ledger, Limit, Standing
from ..types import NANO, Deployment
from .budgets import Plan, window, zone_of
from .days import stretches
from .forecast import Forecast, forecast
from .grouping import Group, GroupBy, Tokens, by_day, grouped, tokens
from .pricing import CostNano
from .recommendations import Evidence, Recommendation, recommendations
from .savings import Savings, savings

DAY_S = 86_400.0
LOOK_BACK_DAYS = 28
SPANS = {"7d": 7 * DAY_S, "30d": 30 * DAY_S}
PERIODS = ("today", "7d", "30d", "month", "all")


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for: [since, until) in seconds since the epoch. `caller` narrows to one caller's attempts."""

    since: float
    until: float
    label: str
    group_by: GroupBy = "provider"
    caller: str | None = None


@dataclass(frozen=True, slots=True)
class BudgetState:
    """One budget now, USD. `alert` is the highest share of it that was passed, None below all."""

    scope: str
    period: str
    limit_usd: float
    spent_usd: float
    reserved_usd: float
    remaining_usd: float
    resets_at: str
    alert: float | None
    overrun_usd: float


@dataclass(frozen=True, slots=True)
class CacheUse:
    """How often the response cache, replays and joined calls spared a call, and how often not."""

    hits: int
    misses: int


@dataclass(frozen=True, slots=True)
class FusionUse:
    """Fusions: how many, how far their members agreed, what they cost."""

    count: int
    mean_agreement: float | None
    mean_cost_usd: float | None
    agreement: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Report:
    """What `costs` answers. `uncertain_usd` was held by processes that died: their calls may or may not have been billed."""

    summary: str
    total_usd: float
    calls: int
    tokens: Tokens
    groups: tuple[Group, ...]
    budgets: tuple[BudgetState, ...]
    forecast: Forecast
    savings: Savings
    cache: CacheUse
    fusion: FusionUse
    recommendations: tuple[Recommendation, ...]
    unpriced_calls: int
    uncertain_usd: float


@dataclass(frozen=True, slots=True)
class Known:
    """What a report needs to know of the house as it stands now."""

    plan: Callable[[], Plan]
    deployments: Callable[[], Sequence[Deployment]]
    cost: CostNano
    cache_enabled: Callable[[], bool] = lambda: True
    clock: Callable[[], float] = time.time


class Accountant:
    """Reads the books and the ledger's standings; holds no state of its own."""

    def __init__(self, books: Books, ledger: Ledger, known: Known) -> None:
        self._books = books
        self._ledger = ledger
        self.known = known

    def period(self, name: str, group_by: GroupBy = "provider") -> Query:
        """The query of a period of the contract. Raises KeyError for another word."""
        now, zone = self.known.clock(), self.known.plan().zone
        if name in ("today", "month"):
            since, until = window("day" if name == "today" else "month", now, zone)
        else:
            since, until = (0.0, now + DAY_S) if name == "all" else (now - SPANS[name], now + 1)
        return Query(since, until, {"all": "in all", "month": "this month"}.get(name, name), group_by)

    async def lines(self, query: Query) -> Sequence[Line]:
        """The books' lines that the query is about: what an export writes."""
        found = await self._books.lines(query.since, query.until)
        return [line for line in found if query.caller in (None, line.caller)]

    async def daily(self, query: Query) -> Sequence[Line]:
        """The same by local days: a fortieth of the lines over a month, whatever clocks were changed in between."""
        since = max(query.since, await self._books.first())
        found: list[Line] = []
        for stretch in stretches(since, query.until, self.known.plan().zone):
            lines = await self._books.lines(stretch.since, stretch.until, day=stretch.midnight)
            mine = (line for line in lines if query.caller in (None, line.caller))
            found += [
                line._replace(at=max(line.at, int(stretch.since))) for line in mine
            ]  # the day began before it did
        return found

    async def report(self, query: Query, lines: Sequence[Line] | None = None, *, advise: bool = True) -> Report:
        """Everything at once. `lines` are the query's where they were read already; advice takes half the time."""
        known, plan = self.known, self.known.plan()
        lines = await self.daily(query) if lines is None else lines
        samples = [s for s in await self._books.samples(query.since, query.until) if query.caller in (None, s.caller)]
        narrow = query.caller is not None  # what is counted of all together tells one nothing of its own
        tallies = {} if narrow else await self._books.tallies(query.since, query.until)
        evidence = Evidence(
            lines,
            await self._books.habits(query.since, query.until) if advise and not narrow else Habits(),
            known.deployments(),
            known.cost,
            known.cache_enabled(),
        )
        budgets, ahead = await self.budgets(query.caller), await self._month(query, lines)
        return Report(
            summary(query, lines, budgets, ahead),
            sum(line.nano for line in lines) / NANO,
            sum(line.calls for line in lines),
            tokens(lines),
            grouped(lines, samples, query.group_by, plan.zone),
            budgets,
            ahead,
            savings(lines, tallies, evidence.deployments, known.cost),
            cache_use(tallies),
            fusion_use(tallies),
            recommendations(evidence) if advise else (),
            sum(line.unpriced for line in lines),
            sum(line.uncertain_nano for line in lines) / NANO,
        )

    async def budgets(self, caller: str | None = None) -> tuple[BudgetState, ...]:
        """Every configured budget as it stands, over all processes; without those of other callers where one asks."""
        plan = self.known.plan()
        own = (None, f"caller:{caller}") if caller is not None else None
        limits = [x for x in plan.all_limits(self.known.clock()) if own is None or _caller(x.window.scope) in own]
        standings = await self._ledger.standings(limits)
        return tuple(_state(limit, found, plan) for limit, found in zip(limits, standings, strict=True))

    async def month(self, caller: str | None = None) -> Forecast:
        """What this month will have cost."""
        return await self._month(Query(math.inf, math.inf, "", caller=caller), ())

    async def _month(self, query: Query, known: Sequence[Line]) -> Forecast:
        """The forecast, from the query's own lines where they reach back far enough."""
        now, zone = self.known.clock(), self.known.plan().zone
        starts, ends = window("month", now, zone)
        today, _ = window("day", now, zone)
        since = min(starts, today - LOOK_BACK_DAYS * DAY_S)
        if query.since <= since and now < query.until:
            lines = [line for line in known if line.at >= since]
        else:
            lines = await self.daily(Query(since, now + 1, "", caller=query.caller))
        spent = sum(line.nano for line in lines if line.at >= starts) / NANO
        return forecast(whole_days(lines, today, zone), spent, (ends - now) / DAY_S)


def whole_days(lines: Sequence[Line], today: float, zone: str) -> list[float]:
    """USD of every past day from the first one with a call on, idle days included."""
    known = by_day((line for line in lines if line.at < today), zone)
    if not known:
        return []
    day = datetime.fromisoformat(min(known)).date()
    last = datetime.fromtimestamp(today, zone_of(zone)).date()
    days: list[float] = []
    while day < last:
        days.append(known.get(day.isoformat(), 0.0))
        day += timedelta(days=1)
    return days[-LOOK_BACK_DAYS:]


def cache_use(tallies: Mapping[str, Tally]) -> CacheUse:
    """Everything that spared a call is a hit."""
    hits = sum(count for kind, (count, _, _) in tallies.items() if kind.startswith("cache:") and kind != "cache:miss")
    return CacheUse(hits, tallies.get("cache:miss", (0, 0, 0.0))[0])


def fusion_use(tallies: Mapping[str, Tally]) -> FusionUse:
    """Means over the fusions counted; agreement over those that could measure it."""
    count, nano, _ = tallies.get("fuse", (0, 0, 0.0))
    bands = {band: tallies.get(f"fuse:{band}", (0, 0, 0.0)) for band in ("high", "medium", "low")}
    measured = sum(found[0] for found in bands.values())
    mean = sum(found[2] for found in bands.values()) / measured if measured else None
    cost = nano / NANO / count if count else None
    return FusionUse(count, mean, cost, {band: found[0] for band, found in bands.items()})


def summary(query: Query, lines: Sequence[Line], budgets: Sequence[BudgetState], ahead: Forecast) -> str:
    """The report in two sentences."""
    usd, calls = sum(line.nano for line in lines) / NANO, sum(line.calls for line in lines)
    words = f"{query.label}: {dollars(usd)} for {calls} call{'' if calls == 1 else 's'}."
    tightest = min(budgets, key=lambda b: b.remaining_usd / b.limit_usd if b.limit_usd else 0.0, default=None)
    if tightest is not None:
        left, limit = dollars(max(tightest.remaining_usd, 0.0)), dollars(tightest.limit_usd)
        words += f" {left} of {limit} left in the {tightest.scope} budget of the {tightest.period}."
    if ahead.month_end_usd is not None:
        words += f" Month's end: about {dollars(ahead.month_end_usd)}."
    return words


def dollars(usd: float) -> str:
    """An amount a person can read: cents where there are dollars, more digits where there are none."""
    digits = 2 if usd >= 1 or usd == 0 else 4 if usd >= 0.01 else 6
    return f"${usd:.{digits}f}"


def _caller(scope: str) -> str | None:
    return scope if scope.startswith("caller:") else None


def _state(limit: Limit, standing: Standing, plan: Plan) -> BudgetState:
    left = limit.cap - standing.spent - standing.held
    passed = [share for share in plan.alerts if standing.spent >= limit.cap * share and standing.spent]
    resets = datetime.fromtimestamp(limit.window.ends, UTC).astimezone(zone_of(plan.zone))
    return BudgetState(
        limit.window.scope,
        limit.period,
        limit.cap / NANO,
        standing.spent / NANO,
        standing.held / NANO,
        left / NANO,
        resets.isoformat(),
        max(passed, default=None),
        max(standing.spent - limit.cap, 0) / NANO,
    )
