"""The Gate of a fleet: the limits of all replicas together, kept by a shared store (`store/shared.py`).

Each process stands in line by itself; the head of a line asks the store. Without the store a replica goes on with its
own share of every limit, already charged with what it used lately, and tells the store about it later. `Commons` keeps
holds and hints in step. Above: the manager; beside it: `limits.py`, which is the Gate of one process.
"""

import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from types import TracebackType
from typing import Protocol

import anyio

from .allowance import read
from .cooldowns import Cooldowns, Notice
from .limits import Entry, Limiter, Limits, LimitSettings, LimitView, share
from .ports import QuotaWait, Slot
from .store.shared import Board, Gathering, Rates, SharedLost, Terms, Wait
from .types import Deployment

LONGEST_LEASE_S = 600.0
STRANGERS = 4  # replicas to share with while the store has never been reached: a guess on the careful side


@dataclass(slots=True)
class _Queue:
    """Those of this process who wait for one line, and what the store does not know of it yet."""

    turn: anyio.Lock
    waiting: int = 0
    not_before: float = -math.inf
    requests: float = 0.0
    tokens: float = 0.0

    def owes(self, requests: float, tokens: float) -> None:
        """So much more was used that the store shall hear of."""
        self.requests += requests
        self.tokens += tokens


class FleetLimiter:
    """The Gate over a shared store. `limits` is keyed as in `Limiter`; `zone` is where the providers' midnight is."""

    def __init__(
        self,
        rates: Rates,
        limits: Mapping[str, Limits],
        settings: LimitSettings | None = None,
        *,
        clock: Callable[[], float],
        zone: tzinfo = UTC,
        now: Callable[[tzinfo], datetime] = datetime.now,
    ) -> None:
        self.rates = rates
        self.clock = clock
        self.settings = settings or LimitSettings()
        self._limits = dict(limits)
        self._zone, self._now = zone, now
        self._replicas = STRANGERS
        self.own = Limiter({}, self.settings, clock=clock)
        self._queues: dict[str, _Queue] = {}
        self.replace(limits)

    def slot(self, deployment: Deployment, tokens: int, deadline: float) -> "FleetEntry":
        """As `Limiter.slot`, over all replicas."""
        return FleetEntry(self, deployment, max(0, tokens), deadline)

    def wait_s(self, deployment: Deployment, tokens: int) -> float:
        """Seconds one would likely wait, from what the store said last; asks nobody."""
        del tokens
        held = max(self.queue(name).not_before for name in {*self.names(deployment), deployment.unit})
        return max(0.0, held - self.clock())

    def view(self, endpoint: str) -> LimitView:
        """Our own part of an endpoint's limits at a glance."""
        return replace(self.own.view(endpoint), queued=self.queue(endpoint).waiting)

    def replace(self, limits: Mapping[str, Limits]) -> None:
        """Put other limits in force."""
        self._limits = dict(limits)
        self.own.replace({name: share(limit, self._replicas) for name, limit in limits.items()})

    def among(self, replicas: int) -> None:
        """So many replicas share the limits, should the store be lost."""
        if replicas != self._replicas:
            self._replicas = max(1, replicas)
            self.replace(self._limits)

    def names(self, deployment: Deployment) -> tuple[str, ...]:
        """The lines a slot here stands in: the model's own first, if it has limits, then the endpoint's."""
        unit = deployment.unit
        return (unit, deployment.endpoint) if unit in self._limits else (deployment.endpoint,)

    def queue(self, name: str) -> _Queue:
        """The line of this process for an endpoint or model."""
        if (queue := self._queues.get(name)) is None:
            queue = self._queues[name] = _Queue(anyio.Lock(fast_acquire=True))
        return queue

    def terms(self, deployment: Deployment) -> tuple[Terms, ...]:
        """What to ask of the store for a slot here, with what it has not heard of yet."""
        now = self._now(self._zone)
        midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), self._zone)
        return tuple(
            self._terms(deployment, name, now.date().isoformat(), midnight - now) for name in self.names(deployment)
        )

    def _terms(self, deployment: Deployment, name: str, day: str, left: timedelta) -> Terms:
        limits, queue = self._limits.get(name, Limits()), self.queue(name)
        return Terms(
            group=deployment.endpoint,
            name="all" if name == deployment.endpoint else deployment.model,
            requests=self.settings.requests(limits),
            tokens=self.settings.tokens(limits),
            rpd=limits.rpd,
            concurrency=limits.concurrency,
            day=day,
            day_s=left.total_seconds(),
            debt_requests=queue.requests,
            debt_tokens=queue.tokens,
        )


class FleetEntry:
    """One slot of the fleet: the context manager and the slot in one."""

    __slots__ = ("_actual", "_deadline", "_deployment", "_fallback", "_gate", "_lease", "_lines", "_since", "_tokens")

    def __init__(self, gate: FleetLimiter, deployment: Deployment, tokens: int, deadline: float) -> None:
        self._gate = gate
        self._deployment = deployment
        self._tokens = self._actual = tokens
        self._deadline = deadline
        self._lease = secrets.token_hex(8)
        self._lines = gate.own.lines(deployment)
        self._fallback: Entry | None = None
        self._since = 0.0

    async def __aenter__(self) -> Slot:
        gate, queue = self._gate, self._gate.queue(self._gate.names(self._deployment)[0])
        if queue.waiting >= gate.settings.queue:
            raise QuotaWait(gate.wait_s(self._deployment, self._tokens), "queue")
        queue.waiting += 1
        try:
            with anyio.move_on_after(self._deadline - gate.clock()) as scope:
                async with queue.turn:
                    await self._ask()
            if scope.cancelled_caught:
                raise QuotaWait(gate.wait_s(self._deployment, self._tokens), "limits of all replicas")
        finally:
            queue.waiting -= 1
        if self._lease:
            for line in self._lines:  # our own share is charged too: it is what remains should the store be lost
                line.take(self._tokens)
        else:
            await self._fall_back()
        self._since = gate.clock()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fallback is not None:
            await self._fallback.__aexit__(kind, error, trace)
            return
        held_s = self._gate.clock() - self._since
        for line in self._lines:
            line.leave(held_s)
        await self._return(self._actual - self._tokens)

    def settle(self, tokens: int, headers: Mapping[str, str] | None = None) -> None:
        """As `Entry.settle`; the store hears of it when the slot is left."""
        if self._fallback is not None:
            self._fallback.settle(tokens, headers)
            return
        left = read(headers, datetime.now(UTC).timestamp()) if headers else (None, None)
        for line in self._lines:
            line.correct(tokens - self._actual, *left)
        self._actual = tokens
        if wait_s := max((one.next_s or 0.0 for one in left if one), default=0.0):
            self._hold(self._deployment.unit, wait_s)

    async def _ask(self) -> None:
        """At the head of the line: ask the store until it says yes, or is lost."""
        gate = self._gate
        while True:
            await self._wait_for_holds()
            try:
                wait = await self._reserve()
            except SharedLost:
                self._lease = ""
                return
            if wait is None:
                return
            for name in gate.names(self._deployment):
                self._hold(name, wait.wait_s)
            if gate.clock() + wait.wait_s > self._deadline:
                raise QuotaWait(wait.wait_s, wait.why)
            await anyio.sleep(wait.wait_s)

    async def _reserve(self) -> Wait | None:
        gate, lines = self._gate, self._gate.terms(self._deployment)
        lease_s = min(max(1.0, self._deadline - gate.clock() + 5), LONGEST_LEASE_S)
        queues = [gate.queue(name) for name in gate.names(self._deployment)]
        for queue, told in zip(queues, lines, strict=True):
            queue.owes(-told.debt_requests, -told.debt_tokens)
        try:
            return await gate.rates.reserve(self._lease, self._tokens, lines, lease_s)
        except BaseException as error:
            for queue, told in zip(queues, lines, strict=True):
                queue.owes(told.debt_requests, told.debt_tokens)
            if not isinstance(error, SharedLost):  # cancelled while asking: it may have been granted
                await self._return(-self._tokens)
            raise

    async def _wait_for_holds(self) -> None:
        held_s = self._gate.queue(self._deployment.unit).not_before - self._gate.clock()
        if held_s <= 0:
            return
        if self._gate.clock() + held_s > self._deadline:
            raise QuotaWait(held_s, "provider's own limit")
        await anyio.sleep(held_s)

    def _hold(self, name: str, seconds: float) -> None:
        queue = self._gate.queue(name)
        queue.not_before = max(queue.not_before, self._gate.clock() + seconds)

    async def _fall_back(self) -> None:
        entry = self._gate.own.slot(self._deployment, self._tokens, self._deadline)
        await entry.__aenter__()
        self._fallback = entry
        for name in self._gate.names(self._deployment):
            self._gate.queue(name).owes(1, self._tokens)

    async def _return(self, tokens: int) -> None:
        with anyio.CancelScope(shield=True):
            try:
                await self._gate.rates.settle(self._lease, tokens, self._gate.terms(self._deployment))
            except SharedLost:
                return  # the lease ends by itself


class Shared(Protocol):
    """A gate whose limits several processes share."""

    def among(self, replicas: int) -> None: ...


class Commons:
    """Keeps this replica's holds and hints in step with the others'. `run` is a task of the composition root."""

    def __init__(
        self,
        board: Board,
        cooldowns: Cooldowns,
        *,
        gate: Shared | None = None,
        hints: Callable[[], Mapping[str, str]] = dict[str, str],
        every_s: float = 0.5,
    ) -> None:
        self.replica = secrets.token_hex(8)
        self.gathering = Gathering()
        self._board = board
        self._cooldowns = cooldowns
        self._gate = gate
        self._hints = hints
        self._every_s = every_s
        self._posted: set[str] = set()

    async def run(self) -> None:
        """Exchange until cancelled."""
        while True:
            await self.exchange()
            await anyio.sleep(self._every_s)

    async def exchange(self) -> bool:
        """Tell and hear once. False: the store is lost; what is known stays known."""
        own = list(self._cooldowns.running(own=True))
        running = {notice.name for notice in self._cooldowns.running()}
        lifted = [Notice(name, "rate limited", 0.0) for name in self._posted - running]
        try:
            self.gathering = await self._board.exchange(self.replica, [*own, *lifted], self._hints())
        except SharedLost:
            return False
        self._posted = {notice.name for notice in own}
        self._cooldowns.hear(self.gathering.notices)
        if self._gate is not None:
            self._gate.among(self.gathering.replicas)
        return True
