"""How much Plenum takes on at once: so many jobs in flight, a bounded line behind them, and who goes first when full.

Whole jobs enter, once each: a fuse enters, its members do not. Providers' limits are `limits.py`'s business. Reading
(models, costs, health) is never turned away. Guide reliability-and-security §4.6. Above: the tools and the HTTP doors.
"""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import anyio

from .errors import Limited

Kind = Literal["fuse", "batch", "generate", "read"]
_SHED: tuple[Kind, ...] = ("fuse", "batch", "generate")  # first to go first
_IN_WORDS = {"fuse": "fusions", "batch": "batches", "generate": "requests"}


@dataclass(frozen=True, slots=True)
class AdmissionSettings:
    """`in_flight` jobs at once (64 for stdio, 1,024 over HTTP) and `queue` times as many waiting.

    `memory`: the share of the memory limit from which on each kind is refused.
    """

    in_flight: int = 64
    queue: float = 2.0
    memory: tuple[tuple[Kind, float], ...] = (("fuse", 0.85), ("batch", 0.90), ("generate", 0.95))


@dataclass(frozen=True, slots=True)
class AdmissionView:
    """How full it is."""

    running: int
    queued: int
    in_flight: int
    shed: int


@dataclass(eq=False, slots=True)
class _Waiter:
    kind: Kind
    number: int
    called: anyio.Event = field(default_factory=anyio.Event)
    state: Literal["waiting", "in", "shed"] = "waiting"

    def call(self, state: Literal["in", "shed"]) -> None:
        self.state = state
        self.called.set()


def plenty() -> float:
    """Memory that never runs out."""
    return 0.0


class Admission:
    """The door. `clock` is monotonic seconds, `memory` the share 0..1 of the memory limit in use."""

    def __init__(
        self,
        settings: AdmissionSettings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        memory: Callable[[], float] = plenty,
    ) -> None:
        self._settings = settings or AdmissionSettings()
        self._refused_from = dict(self._settings.memory)
        self._clock = clock
        self._memory = memory
        self._lines: dict[Kind, deque[_Waiter]] = {kind: deque() for kind in _SHED}
        self._running = 0
        self._number = 0
        self._shed = 0
        self._lasts_s: float | None = None  # how long a job takes lately

    def enter(self, kind: Kind, deadline: float = math.inf) -> "Entry":
        """Do one job inside. Waits for a place until `deadline` (monotonic seconds).

        Raises Limited: at once when there is no room to wait, memory is short or the deadline cannot be met; later
        when the deadline came or somebody more urgent took the place in the line.
        """
        return Entry(self, kind, deadline)

    async def begin(self, kind: Kind, deadline: float) -> float:
        """Take a place, for an entry; when that was."""
        if kind != "read":
            self._mind_memory(kind)
            if self._running < self._settings.in_flight and not self._queued:
                self._running += 1
            else:
                await self._wait(kind, deadline)
        return self._clock()

    def end(self, kind: Kind, began: float) -> None:
        """Give it back."""
        if kind != "read":
            lasted = self._clock() - began
            self._lasts_s = lasted if self._lasts_s is None else self._lasts_s + 0.1 * (lasted - self._lasts_s)
            self._leave()

    def view(self) -> AdmissionView:
        """How full it is now."""
        return AdmissionView(self._running, self._queued, self._settings.in_flight, self._shed)

    @property
    def _queued(self) -> int:
        return sum(map(len, self._lines.values()))

    def _mind_memory(self, kind: Kind) -> None:
        used = self._memory()
        if used >= self._refused_from[kind]:
            self._refuse(f"memory is {used:.0%} full: no new {_IN_WORDS[kind]} are taken on", 5.0)

    async def _wait(self, kind: Kind, deadline: float) -> None:
        left_s = deadline - self._clock()
        if (wait_s := self._guess_s()) > left_s:
            self._refuse(f"{self._queued} jobs wait already; a place before the deadline is not to be had", wait_s)
        self._make_room(kind)
        self._number += 1
        waiter = _Waiter(kind, self._number)
        self._lines[kind].append(waiter)
        try:
            with anyio.move_on_after(left_s):
                await waiter.called.wait()
        except BaseException:
            self._withdraw(waiter)
            raise
        if waiter.state != "in":
            self._withdraw(waiter)
            why = "the deadline came while waiting" if waiter.state == "waiting" else "more urgent work came"
            self._refuse(f"Plenum is full: {why}", self._guess_s())

    def _make_room(self, kind: Kind) -> None:
        if self._queued < self._settings.queue * self._settings.in_flight:
            return
        for lesser in _SHED[: _SHED.index(kind)]:
            if self._lines[lesser]:
                self._lines[lesser].pop().call("shed")  # the youngest: it waited least
                return
        self._refuse(f"Plenum is full: {self._running} jobs run and {self._queued} wait", self._guess_s())

    def _withdraw(self, waiter: _Waiter) -> None:
        if waiter.state == "waiting":
            self._lines[waiter.kind].remove(waiter)
        elif waiter.state == "in":
            self._leave()  # called in and cancelled in the same moment

    def _leave(self) -> None:
        heads = [line[0] for line in self._lines.values() if line]
        if heads and self._running <= self._settings.in_flight:
            first = min(heads, key=lambda waiter: waiter.number)
            self._lines[first.kind].popleft().call("in")
        else:
            self._running -= 1

    def _guess_s(self) -> float:
        """Seconds until one who came now would get in, as far as known."""
        return (self._lasts_s or 0.0) * (self._queued + 1) / self._settings.in_flight

    def _refuse(self, why: str, after: float) -> None:
        self._shed += 1
        wait_s = max(1.0, math.ceil(after))
        raise Limited(why, hint=f"Try again in {wait_s:.0f} s, or send fewer requests at once.", after=wait_s)


class Entry:
    """One job's place."""

    __slots__ = ("_admission", "_began", "_deadline", "_kind")

    def __init__(self, admission: Admission, kind: Kind, deadline: float) -> None:
        self._admission = admission
        self._kind: Kind = kind
        self._deadline = deadline
        self._began = 0.0

    async def __aenter__(self) -> None:
        self._began = await self._admission.begin(self._kind, self._deadline)

    async def __aexit__(self, *how: object) -> None:
        self._admission.end(self._kind, self._began)
