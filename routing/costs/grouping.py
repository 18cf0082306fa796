"""Lines of the books added up by a key. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Literal, TypeVar

from ..store.books import Line, Sample
from ..types import NANO
from .budgets import zone_of

GroupBy = Literal["provider", "model", "day", "caller", "task", "server"]
T = TypeVar("T", Line, Sample)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token counts; `input` includes `cached_input` and `cache_write`, `output` includes `reasoning`."""

    input: int = 0
    output: int = 0
    cached_input: int = 0
    cache_write: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """What one key has come to. `usd_per_answer` is the price of an answer that was good enough to be given."""

    key: str
    usd: float
    calls: int
    tokens: Tokens
    success_rate: float | None
    latency_p50_s: float | None
    usd_per_answer: float | None


def grouped(lines: Iterable[Line], samples: Iterable[Sample], by: GroupBy, zone: str) -> tuple[Group, ...]:
    """Dearest first; days in order. An attempt with text of several servers counts in each of them."""
    sums, latencies = _by_key(lines, by, zone), _by_key(samples, by, zone)
    groups = [_group(key, found, latencies.get(key, [])) for key, found in sums.items()]
    return tuple(sorted(groups, key=(lambda g: g.key) if by == "day" else (lambda g: (-g.usd, g.key))))


def tokens(lines: Iterable[Line]) -> Tokens:
    """All tokens of these lines."""
    counts = [(line.input, line.output, line.cached_input, line.cache_write, line.reasoning) for line in lines]
    return Tokens(*map(sum, zip(*counts, strict=True))) if counts else Tokens()


def by_day(lines: Iterable[Line], zone: str) -> dict[str, float]:
    """USD per local day, ISO dates in order; days without calls are absent."""
    days: dict[str, int] = defaultdict(int)
    for line in lines:
        days[_day(line.at, zone)] += line.nano
    return {day: days[day] / NANO for day in sorted(days)}


def _by_key(rows: Iterable[T], by: GroupBy, zone: str) -> dict[str, list[T]]:
    found: dict[str, list[T]] = defaultdict(list)
    keys = KEYS[by]
    for row in rows:
        for key in keys(row, zone):
            found[key].append(row)
    return found


def _group(key: str, lines: Sequence[Line], samples: Sequence[Sample]) -> Group:
    nano, calls, answered = sum(x.nano for x in lines), sum(x.calls for x in lines), sum(x.ok for x in lines)
    return Group(
        key,
        nano / NANO,
        calls,
        tokens(lines),
        answered / calls if calls else None,
        median(sample.latency for sample in samples) if samples else None,
        nano / NANO / answered if answered else None,
    )


def _day(at: float, zone: str) -> str:
    return datetime.fromtimestamp(at, zone_of(zone)).date().isoformat()


KEYS: dict[GroupBy, Callable[[Line | Sample, str], Sequence[str]]] = {
    "provider": lambda row, _: (row.provider,),
    "model": lambda row, _: (f"{row.provider}/{row.model}",),
    "day": lambda row, zone: (_day(row.at, zone),),
    "caller": lambda row, _: (row.caller,),
    "task": lambda row, _: (row.task or "(none)",),
    "server": lambda row, _: row.servers.split() or ("(none)",),
}
