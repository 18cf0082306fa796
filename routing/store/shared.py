"""What replicas share so that ten behave as one: limits, holds, half-open probes, cached answers, single flight, hints.

Facts that are costly to learn twice, and quotas that really are one; breakers stay with each process (its proxy may be
the broken one). Engines: `memory.py` (one process), `redis.py` (a fleet). Every method of an engine may raise
SharedLost; whoever asks then falls back to what it knows itself, never to "allow all" (guide reliability §6.3).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..cooldowns import Notice
from ..pace import Pace


class SharedLost(Exception):
    """The shared store cannot be reached now."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The limits of one line (an endpoint, or one model of it), and what was used of them behind the store's back.

    `group` keeps the lines of one slot together (they are tested in one step). `day_s`: seconds to the provider's
    next day, `day` its name.
    """

    group: str
    name: str
    requests: Pace | None = None
    tokens: Pace | None = None
    rpd: int | None = None
    concurrency: int | None = None
    day: str = ""
    day_s: float = 86_400.0
    debt_requests: float = 0.0
    debt_tokens: float = 0.0


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: seconds until it is worth asking again, and which limit says so."""

    wait_s: float
    why: str


class Rates(Protocol):
    """Limits of the whole fleet, each reservation all or nothing."""

    async def reserve(self, lease: str, tokens: int, lines: Sequence[Terms], lease_s: float) -> Wait | None:
        """Take a request, its tokens and a place in every line; None when taken. A dead holder's place is back after
        `lease_s` seconds.
        """
        ...

    async def settle(self, lease: str, tokens: int, lines: Sequence[Terms]) -> bool:
        """Give the place back and move the tokens by `tokens` (actual - reserved). False: it was settled before."""
        ...


@dataclass(frozen=True, slots=True)
class Gathering:
    """What all replicas know together: holds still running, how many replicas live, and how each finds the providers.

    `hints` counts, by provider, the replicas that call it `degraded` or `unhealthy`.
    """

    notices: tuple[Notice, ...] = ()
    replicas: int = 1
    hints: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])


class Board(Protocol):
    """Where replicas post and read, in one step."""

    async def exchange(self, replica: str, news: Sequence[Notice], hints: Mapping[str, str]) -> Gathering:
        """Post this replica's news and how it finds its providers; read everybody's."""
        ...


class Shelf(Protocol):
    """A cache in front of the store: small values, gone after their time."""

    async def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, value: bytes, ttl_s: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Seat:
    """One's part in a flight: `leads` does the work; else `value` is the finished work, or None while it lasts."""

    leads: bool
    value: bytes | None = None


class Flights(Protocol):
    """One replica works, the others wait for what it finds. A leader that dies loses its lead with its lease."""

    async def join(self, key: str, token: str, lease_s: float) -> Seat:
        """Take the lead, learn that somebody has it, or get what was found. A leader that joins again stays one."""
        ...

    async def land(self, key: str, token: str, value: bytes | None, keep_s: float) -> bool:
        """End one's lead with a value for those who wait (None: another may lead). False: the lead was lost before."""
        ...
