"""The Gate of `ports.py`: requests and tokens a minute, requests a day, concurrency, as one fair slot.

A line per endpoint (and per model with limits of its own): its head waits until every limit has room, then takes all
in one step. aiolimiter meters the rates; its own queue is not used, because it lets small requests starve large ones
(guide reliability-and-security §6.1). Cooldowns are the guard's. Above: the manager.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

import anyio

from .allowance import Left, read
from .pace import Pace, pace
from .ports import QuotaWait, Slot
from .types import Deployment

if TYPE_CHECKING:
    from .meter import Meter  # brings aiolimiter, with the first limit: start-up needs none

LONGEST_HOLD_S = 3600.0  # what a provider's reset may hold us, as for Retry-After


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be asked of an endpoint, or of one model; None is no limit. Per minute, per minute, per day, at once."""

    rpm: float | None = None
    tpm: float | None = None
    rpd: int | None = None
    concurrency: int | None = None


def share(limits: Limits, replicas: int) -> Limits:
    """Limits divided among replicas; of what is counted in pieces never less than one."""
    return Limits(
        rpm=limits.rpm and limits.rpm / replicas,
        tpm=limits.tpm and limits.tpm / replicas,
        rpd=limits.rpd and max(1, limits.rpd // replicas),
        concurrency=limits.concurrency and max(1, limits.concurrency // replicas),
    )


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """`burst`, `token_burst`: the share of a minute that may come at once; the rest flows evenly, so that no minute
    holds more than its limit. Tokens get more, because one request is many. `queue`: how many may wait in a line.
    """

    burst: float = 0.10
    token_burst: float = 0.25
    queue: int = 1000
    period_s: float = 60.0

    def requests(self, limits: Limits) -> Pace | None:
        """How requests may flow, None without a limit."""
        return None if limits.rpm is None else pace(limits.rpm, self.burst, self.period_s, whole=True)

    def tokens(self, limits: Limits) -> Pace | None:
        """How tokens may flow, None without a limit."""
        return None if limits.tpm is None else pace(limits.tpm, self.token_burst, self.period_s)


@dataclass(frozen=True, slots=True)
class LimitView:
    """A line at a glance. `left` counts by limit what could be taken at once now; unlimited ones are absent."""

    running: int
    queued: int
    left: Mapping[str, float]


class Days(Protocol):
    """Requests counted per day of the provider, surviving restarts where the store does."""

    def used(self, name: str) -> tuple[int, float]:
        """Requests today, and seconds until the provider's next day."""
        ...

    def count(self, name: str) -> None:
        """One more."""
        ...


class MemoryDays:
    """Days that live as long as the process. `zone` is where the provider's midnight is."""

    def __init__(self, zone: tzinfo = UTC, *, now: Callable[[tzinfo], datetime] = datetime.now) -> None:
        self._zone, self._now = zone, now
        self._counts: dict[str, tuple[int, int]] = {}  # name: (ordinal of the day, count)

    def used(self, name: str) -> tuple[int, float]:
        """Requests today, and seconds until midnight."""
        now = self._now(self._zone)
        day, count = self._counts.get(name, (0, 0))
        midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), self._zone)
        return count if day == now.toordinal() else 0, (midnight - now).total_seconds()

    def count(self, name: str) -> None:
        """One more."""
        used, _ = self.used(name)
        self._counts[name] = (self._now(self._zone).toordinal(), used + 1)


@dataclass(frozen=True, slots=True)
class World:
    """What limits depend on: monotonic seconds, seconds since the epoch, the day counter."""

    clock: Callable[[], float]
    wall: Callable[[], float]
    days: Days


class Line:
    """The limits of one endpoint or model and those who wait for them. All but `turn` is synchronous."""

    def __init__(self, name: str, limits: Limits, settings: LimitSettings, world: World) -> None:
        self.name = name
        self.turn = anyio.Lock(fast_acquire=True)
        self.waiting_requests = 0
        self.waiting_tokens = 0
        self.running = 0
        self._world = world
        self._settings = settings
        self._wake = anyio.Event()
        self._hold_until = -math.inf
        self._held_s = 0.0  # how long a slot was kept lately
        self._requests: Meter | None = None
        self._tokens: Meter | None = None
        self.limits = Limits()
        self._free = True  # without any limit, and never held by its provider
        self.change(limits)

    @property
    def full(self) -> bool:
        """No more may wait."""
        return self.waiting_requests >= self._settings.queue

    def change(self, limits: Limits) -> None:
        """Put other limits in force; what was used stays used."""
        if limits == self.limits:
            return
        self._free = False
        from .meter import Meter

        settings, clock = self._settings, self._world.clock
        before = self._requests, self._tokens
        self.limits = limits
        self._requests = self._tokens = None
        if requests := settings.requests(limits):
            self._requests = Meter(requests, clock)
        if tokens := settings.tokens(limits):
            self._tokens = Meter(tokens, clock)
        for old, new in zip(before, (self._requests, self._tokens), strict=True):
            if old is not None and new is not None:
                new.adjust(old.level)
        self.wake()

    def need(self, tokens: float) -> tuple[float, str]:
        """Seconds until `tokens` may start, inf when only somebody's leaving can tell, and which limit says so."""
        if self._free:
            return 0.0, ""
        wait_s, why = self.rate_wait(tokens)
        if wait_s <= 0 and self._no_place():
            return math.inf, "concurrency"
        return wait_s, why

    def rate_wait(self, tokens: float, requests_ahead: int = 0, tokens_ahead: float = 0.0) -> tuple[float, str]:
        """The same behind others, leaving concurrency aside."""
        waits = [(self._hold_until - self._world.clock(), "provider's own limit")]
        if self._requests:
            waits.append((self._requests.delay(1, requests_ahead), "rpm"))
        if self._tokens:
            waits.append((self._tokens.delay(tokens, tokens_ahead), "tpm"))
        if self.limits.rpd is not None:
            used, reset_s = self._world.days.used(self.name)
            waits.append((reset_s if used + requests_ahead >= self.limits.rpd else 0.0, "rpd"))
        return max(waits)

    def guess_s(self, tokens: float) -> float:
        """The likely wait of one who came now, behind all who wait already."""
        if self._free:
            return 0.0
        wait_s, _ = self.rate_wait(tokens, self.waiting_requests, self.waiting_tokens)
        behind, places = 0.0, self.limits.concurrency
        if places is not None and self._no_place():
            behind = max(self._held_s, 0.1) * (self.waiting_requests + 1) / places
        return max(0.0, wait_s, behind)

    def take(self, tokens: float) -> None:
        """Take a request, its tokens and a place, whether there is room or not."""
        if self._requests:
            self._requests.adjust(1)
        if self._tokens:
            self._tokens.adjust(tokens)
        if self.limits.rpd is not None:
            self._world.days.count(self.name)
        self.running += 1

    def correct(self, tokens: float, requests_left: Left | None, tokens_left: Left | None) -> None:
        """Credit or debit tokens, and believe the provider where it sees less left than we do."""
        if self._tokens and tokens:
            self._tokens.adjust(tokens)
        for meter, left in ((self._requests, requests_left), (self._tokens, tokens_left)):
            if meter and left:
                meter.leave(left.remaining)
        self.wake()

    def hold(self, seconds: float) -> None:
        """Nobody starts for so long."""
        self._free = False
        self._hold_until = max(self._hold_until, self._world.clock() + min(seconds, LONGEST_HOLD_S))

    def leave(self, held_s: float) -> None:
        """Give the place back."""
        self.running -= 1
        self._held_s += 0.2 * (held_s - self._held_s)
        self.wake()

    def wake(self) -> None:
        """Let the head of the line look again."""
        if self.waiting_requests:
            self._wake.set()

    async def sleep(self, seconds: float) -> None:
        """Until so many seconds have passed, or somebody gave something back."""
        self._wake = anyio.Event()
        with anyio.move_on_after(seconds):
            await self._wake.wait()

    def view(self) -> LimitView:
        """How it stands now."""
        left: dict[str, float] = {}
        if self._requests:
            left["rpm"] = self._requests.left
        if self._tokens:
            left["tpm"] = self._tokens.left
        if self.limits.rpd is not None:
            left["rpd"] = max(0, self.limits.rpd - self._world.days.used(self.name)[0])
        if self.limits.concurrency is not None:
            left["concurrency"] = max(0, self.limits.concurrency - self.running)
        return LimitView(self.running, self.waiting_requests, left)

    def _no_place(self) -> bool:
        return self.limits.concurrency is not None and self.running >= self.limits.concurrency


class Limiter:
    """The Gate over all endpoints. `limits` is keyed by endpoint and, for a model's own, by `Deployment.unit`.

    `clock` is monotonic seconds (that of deadlines), `wall` seconds since the epoch (for the providers' headers).
    """

    def __init__(
        self,
        limits: Mapping[str, Limits] | None = None,
        settings: LimitSettings | None = None,
        *,
        days: Days | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.world = World(clock, wall, days or MemoryDays())
        self._settings = settings or LimitSettings()
        self._limits = self._whole = dict(limits or {})
        self._among = 1
        self._lines: dict[str, Line] = {}

    def slot(self, deployment: Deployment, tokens: int, deadline: float) -> "Entry":
        """A place for a request of `tokens` (input and output together). Entering waits its turn.

        Raises QuotaWait: at once when `deadline` cannot be met, at the deadline when nobody could know.
        """
        return Entry(self, deployment, tokens, deadline)

    def wait_s(self, deployment: Deployment, tokens: int) -> float:
        """Seconds one would likely wait now; 0 when not at all. Takes nothing."""
        return max([line.guess_s(tokens) for line in self.lines(deployment)])

    def view(self, endpoint: str) -> LimitView:
        """The limits of an endpoint at a glance."""
        return self._line(endpoint).view()

    def replace(self, limits: Mapping[str, Limits]) -> None:
        """Put other limits in force; who waits sees them at once."""
        self._whole = dict(limits)
        self._limits = {name: replace(share(limit, self._among), rpd=limit.rpd) for name, limit in limits.items()}
        for name, line in self._lines.items():
            line.change(self._limits.get(name, Limits()))

    def among(self, replicas: int) -> None:
        """So many processes share the limits from now on; days are counted together, so those stay whole."""
        if replicas != self._among:
            self._among = max(1, replicas)
            self.replace(self._whole)

    def lines(self, deployment: Deployment) -> tuple[Line, ...]:
        """The model's own line, if it has one, before the endpoint's: who waits for a model stops no other."""
        endpoint, unit = self._line(deployment.endpoint), deployment.unit
        return (self._line(unit), endpoint) if unit in self._limits or unit in self._lines else (endpoint,)

    def hold(self, deployment: Deployment, seconds: float) -> None:
        """The provider says this model has nothing left for so long. Most count per model, so no other is held."""
        self._line(deployment.unit).hold(seconds)

    def _line(self, name: str) -> Line:
        if (line := self._lines.get(name)) is None:
            limits = self._limits.get(name, Limits())
            line = self._lines[name] = Line(name, limits, self._settings, self.world)
        return line


class Entry:
    """One slot: the context manager and the slot in one."""

    __slots__ = ("_deadline", "_deployment", "_limiter", "_lines", "_since", "_tokens")

    def __init__(self, limiter: Limiter, deployment: Deployment, tokens: int, deadline: float) -> None:
        self._limiter = limiter
        self._deployment = deployment
        self._lines = limiter.lines(deployment)
        self._tokens = max(0, tokens)
        self._deadline = deadline
        self._since = 0.0

    async def __aenter__(self) -> Slot:
        for line in self._lines:
            if line.waiting_requests or line.need(self._tokens)[0] > 0:
                await self._queue()
                break
        for line in self._lines:  # no await since the last look: all is taken, or nothing was
            line.take(self._tokens)
        self._since = self._limiter.world.clock()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        held_s = self._limiter.world.clock() - self._since
        for line in self._lines:
            line.leave(held_s)

    def settle(self, tokens: int, headers: Mapping[str, str] | None = None) -> None:
        """Correct the reservation by true usage and by the provider's own headers (names in lower case)."""
        left = read(headers, self._limiter.world.wall()) if headers else (None, None)
        for line in self._lines:
            line.correct(tokens - self._tokens, *left)
        self._tokens = tokens
        if any(left) and (wait_s := max(one.next_s or 0.0 for one in left if one)):
            self._limiter.hold(self._deployment, wait_s)

    async def _queue(self) -> None:
        for line in self._lines:
            if line.full:
                raise QuotaWait(line.guess_s(self._tokens), "queue")
            # Tokens of those ahead are upper bounds that are mostly given back: they do not prove it is too late.
            self._refuse_late(*line.rate_wait(self._tokens, line.waiting_requests))
        with anyio.move_on_after(max(0.0, self._deadline - self._limiter.world.clock())) as scope:
            await self._stand(0)
        if scope.cancelled_caught:
            wait_s, why = self._need(len(self._lines))
            raise QuotaWait(wait_s if math.isfinite(wait_s) else self._lines[-1].guess_s(self._tokens), why)

    async def _stand(self, place: int) -> None:
        """Through one line after the other, keeping the head of each, until all have room in the same moment."""
        if place == len(self._lines):
            return
        line = self._lines[place]
        line.waiting_requests += 1
        line.waiting_tokens += self._tokens
        try:
            async with line.turn:
                await self._wait(place + 1)
                await self._stand(place + 1)
        finally:
            line.waiting_requests -= 1
            line.waiting_tokens -= self._tokens

    async def _wait(self, places: int) -> None:
        while (need := self._need(places))[0] > 0:
            wait_s, why = need
            if math.isfinite(wait_s):
                self._refuse_late(wait_s, why)
            # In two lines at once, what is given back in the first does not wake the second: look now and then.
            await self._lines[places - 1].sleep(wait_s if places == 1 else min(wait_s, 1.0))

    def _need(self, places: int) -> tuple[float, str]:
        return max(line.need(self._tokens) for line in self._lines[:places])

    def _refuse_late(self, wait_s: float, why: str) -> None:
        if self._limiter.world.clock() + wait_s > self._deadline:
            raise QuotaWait(wait_s, why)
