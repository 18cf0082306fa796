"""Shared state of one process alone: what the fleet's engine promises, kept in dictionaries. The default, and the
yardstick that `redis.py` is tested against. Nothing here is ever lost, so nothing raises SharedLost.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..cooldowns import Notice
from ..pace import Pace
from .shared import Gathering, Seat, Terms, Wait

PRESENT_S = 10.0  # a replica that has not been heard of for so long is gone
POLL_S = 0.02  # how soon to ask again for a place that somebody has to leave


@dataclass(slots=True)
class _Line:
    requests_until: float = 0.0  # when the bucket of requests would be empty
    tokens_until: float = 0.0
    day: tuple[str, int] = ("", 0)
    places: dict[str, float] = field(default_factory=dict[str, float])  # lease: when it runs out


class Memory:
    """Rates, Board, Leases, Shelf and Flights of one process. `clock` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lines: dict[tuple[str, str], _Line] = {}
        self._notices: dict[str, tuple[Notice, float]] = {}
        self._replicas: dict[str, tuple[float, Mapping[str, str]]] = {}
        self._probes: dict[str, dict[str, float]] = {}
        self._values: dict[str, tuple[bytes, float]] = {}
        self._leads: dict[str, tuple[str, float]] = {}
        self._number = 0

    async def reserve(self, lease: str, tokens: int, lines: Sequence[Terms], lease_s: float) -> Wait | None:
        """See `Rates`."""
        now = self._clock()
        found = [(terms, self._lines.setdefault((terms.group, terms.name), _Line())) for terms in lines]
        for terms, line in found:
            line.requests_until = _moved(line.requests_until, terms.requests, terms.debt_requests, now)
            line.tokens_until = _moved(line.tokens_until, terms.tokens, terms.debt_tokens, now)
        wait = max((wait for terms, line in found for wait in _waits(terms, line, tokens, now)), default=(0.0, ""))
        if wait[0] > 0:
            return Wait(*wait)
        for terms, line in found:
            line.requests_until = _moved(line.requests_until, terms.requests, 1, now)
            line.tokens_until = _moved(line.tokens_until, terms.tokens, tokens, now)
            line.day = terms.day, (line.day[1] if line.day[0] == terms.day else 0) + 1
            line.places[lease] = now + lease_s
        return None

    async def settle(self, lease: str, tokens: int, lines: Sequence[Terms]) -> bool:
        """See `Rates`."""
        owned = False
        for terms in lines:
            line = self._lines.get((terms.group, terms.name))
            if line is not None and line.places.pop(lease, None) is not None:
                owned = True
                line.tokens_until = _moved(line.tokens_until, terms.tokens, tokens, self._clock())
        return owned

    async def exchange(self, replica: str, news: Sequence[Notice], hints: Mapping[str, str]) -> Gathering:
        """See `Board`."""
        now = self._clock()
        self._replicas[replica] = now, hints
        self._replicas = {name: seen for name, seen in self._replicas.items() if seen[0] > now - PRESENT_S}
        for notice in news:
            if notice.left_s <= 0:
                self._notices.pop(notice.name, None)
            elif notice.name not in self._notices or self._notices[notice.name][1] < now + notice.left_s:
                self._notices[notice.name] = notice, now + notice.left_s
        self._notices = {name: kept for name, kept in self._notices.items() if kept[1] > now}
        notices = tuple(Notice(n.name, n.reason, until - now, n.trial) for n, until in self._notices.values())
        return Gathering(notices, len(self._replicas), tally(found for _, found in self._replicas.values()))

    async def take(self, name: str, limit: int, lease_s: float) -> str | float:
        """See `ports.Leases`."""
        now = self._clock()
        probes = self._probes[name] = {k: end for k, end in self._probes.get(name, {}).items() if end > now}
        if len(probes) >= limit:
            return min(probes.values()) - now
        self._number += 1
        probes[str(self._number)] = now + lease_s
        return str(self._number)

    async def give(self, name: str, lease: str) -> None:
        """See `ports.Leases`."""
        self._probes.get(name, {}).pop(lease, None)

    async def get(self, key: str) -> bytes | None:
        """See `Shelf`."""
        value, until = self._values.get(key, (None, 0.0))
        if until > self._clock():
            return value
        self._values.pop(key, None)
        return None

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        """See `Shelf`."""
        self._values[key] = value, self._clock() + ttl_s

    async def join(self, key: str, token: str, lease_s: float) -> Seat:
        """See `Flights`."""
        if (value := await self.get(f"landed {key}")) is not None:
            return Seat(leads=False, value=value)
        leader, until = self._leads.get(key, ("", 0.0))
        if until > self._clock() and leader != token:
            return Seat(leads=False)
        self._leads[key] = token, self._clock() + lease_s
        return Seat(leads=True)

    async def land(self, key: str, token: str, value: bytes | None, keep_s: float) -> bool:
        """See `Flights`."""
        leader, until = self._leads.get(key, ("", 0.0))
        if leader != token or until <= self._clock():
            return False
        del self._leads[key]
        if value is not None:
            await self.put(f"landed {key}", value, keep_s)
        return True


def tally(all_hints: Iterable[Mapping[str, str]]) -> dict[str, dict[str, int]]:
    """By provider, how many replicas gave which hint."""
    counts: dict[str, dict[str, int]] = {}
    for hints in all_hints:
        for provider, hint in hints.items():
            of = counts.setdefault(provider, {})
            of[hint] = of.get(hint, 0) + 1
    return counts


def _moved(until: float, pace: Pace | None, units: float, now: float) -> float:
    return max(until, now) + units / pace.per_s if pace else until


def _waits(terms: Terms, line: _Line, tokens: int, now: float) -> Iterator[tuple[float, str]]:
    line.places = {lease: end for lease, end in line.places.items() if end > now}
    for pace, until, units, why in (
        (terms.requests, line.requests_until, 1, "rpm"),
        (terms.tokens, line.tokens_until, tokens, "tpm"),
    ):
        if pace:
            yield until - now + (min(units, pace.burst) - pace.burst) / pace.per_s - 1e-9, why
    if terms.rpd is not None and line.day[0] == terms.day and line.day[1] >= terms.rpd:
        yield terms.day_s, "rpd"
    if terms.concurrency is not None and len(line.places) >= terms.concurrency:
        yield POLL_S, "concurrency"
