"""One circuit breaker: whether an endpoint (or one of its models) may be called, from how its calls end.

pybreaker keeps the state and counts; admission is decided here and outcomes are reported to it afterwards, synchronously,
because its own ways of calling lose asynchronous outcomes, take cancellation for failure and let every half-open call in.
Constants: guide reliability-and-security §4.1 (Envoy, Linkerd, Finagle). No I/O; `guard.py` above combines breakers.
"""

import math
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .outcomes import Outcomes
from .ports import CircuitOpen

if TYPE_CHECKING:
    from pybreaker import CircuitBreaker  # imported with the first breaker made: start-up needs none

State = Literal["closed", "half_open", "open"]
Moved = Callable[[State, str, float | None], None]  # the new state, why, and for how many seconds
_STATES: dict[str, State] = {"closed": "closed", "half-open": "half_open", "open": "open"}


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When to open, for how long, and how to come back. Times in seconds; the first five are the `[breaker]` table.

    Opens on `failures` in a row, or on a share of `failure_rate` among at least `min_calls` outcomes in `window_s`.
    The n-th opening since it was closed lasts min(`open_s` * 2**(n-1), `max_open_s`), give or take `jitter`.
    """

    failures: int = 5
    successes: int = 2
    open_s: float = 5.0
    max_open_s: float = 60.0
    probes: int = 1
    jitter: float = 0.2
    lease_s: float = 120.0
    window_s: float = 60.0
    min_calls: int = 10
    failure_rate: float = 0.5


@dataclass(frozen=True, slots=True)
class BreakerView:
    """A breaker at a glance. `opens_for_s` is set while it is open."""

    name: str
    state: State
    failures: int
    openings: int
    opens_for_s: float | None = None


class _Failed(Exception):
    """What pybreaker is told: the provider's own exception would gather tracebacks."""


def _core(name: str, settings: BreakerSettings, moved: Callable[[State], None]) -> "CircuitBreaker":
    from pybreaker import CircuitBreaker, CircuitBreakerListener, CircuitBreakerState

    class Relay(CircuitBreakerListener):
        def state_change(
            self, cb: CircuitBreaker, old_state: CircuitBreakerState | None, new_state: CircuitBreakerState
        ) -> None:
            del cb, old_state
            moved(_STATES[new_state.name])

    return CircuitBreaker(
        fail_max=settings.failures,
        reset_timeout=0,  # when it may probe is decided here, on a monotonic clock
        success_threshold=settings.successes,
        name=name,
        listeners=[Relay()],
        throw_new_error_on_trip=False,
    )


def _went_well() -> None:
    return


def _went_ill() -> None:
    raise _Failed


class Ticket:
    """Leave for one call. The first of `succeed`, `fail`, `abandon` counts; one of an older generation votes nothing."""

    __slots__ = ("_breaker", "_done", "expires", "generation", "probe")

    def __init__(self, breaker: "Breaker", generation: int, expires: float, *, probe: bool) -> None:
        self._breaker = breaker
        self.generation = generation
        self.expires = expires
        self.probe = probe
        self._done = False

    def succeed(self) -> None:
        """A complete answer."""
        self._end(True)

    def fail(self) -> None:
        """The provider's fault."""
        self._end(False)

    def abandon(self) -> None:
        """Cancelled, or ended in a way that says nothing of the provider."""
        self._end(None)

    def _end(self, good: bool | None) -> None:  # noqa: FBT001 - three outcomes
        if not self._done:
            self._done = True
            self._breaker.settle(self, good=good)


class Breaker:
    """CLOSED admits everything; OPEN nothing until its time is up; HALF_OPEN `probes` calls at a time.

    A transition raises the generation: tickets of older ones neither open, prolong nor close anything. A probe older
    than its lease loses its place. `clock` is monotonic seconds.
    """

    def __init__(
        self,
        name: str,
        settings: BreakerSettings,
        clock: Callable[[], float],
        rng: random.Random,
        moved: Moved,
    ) -> None:
        self.name = name
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self._moved = moved
        self._why = ""
        self._state: State = "closed"
        self._generation = 0
        self._openings = 0
        self._open_until = 0.0
        self._probes: set[Ticket] = set()
        self._outcomes = Outcomes(settings.window_s)
        self._core = _core(name, settings, self._enter)

    @property
    def state(self) -> State:
        """Where it stands; OPEN with its time up counts as OPEN until somebody asks to be admitted."""
        return self._state

    def admit(self, *, force: bool = False) -> Ticket:
        """Leave for one call. `force` probes before the opening is over. Raises CircuitOpen."""
        state = self._state
        if state == "closed":
            return Ticket(self, self._generation, math.inf, probe=False)
        if (wait_s := self.wait_s(force=force)) is not None:
            raise CircuitOpen(wait_s, self._why)
        if state == "open":
            self._why = "probing early: nothing else is left" if force else "its time is up: probing"
            self._core.half_open()
        now = self._clock()
        self._probes = {ticket for ticket in self._probes if ticket.expires > now}
        ticket = Ticket(self, self._generation, now + self._settings.lease_s, probe=True)
        self._probes.add(ticket)
        return ticket

    def wait_s(self, *, force: bool = False) -> float | None:
        """Seconds until a call may be admitted, None if one may be now. Changes nothing."""
        if self._state == "closed":
            return None
        now = self._clock()
        if self._state == "half_open":
            return self._probe_wait_s(now)
        return self._open_until - now if now < self._open_until and not force else None

    @property
    def why(self) -> str:
        """The reason of the last transition, in words."""
        return self._why

    def reset(self) -> None:
        """Close it by hand; tickets on their way become strangers."""
        if self._state != "closed":
            self._why = "reset by hand"
            self._core.close()
        else:
            self._generation += 1
            self._core.call(_went_well)
            self._outcomes.clear()

    def view(self) -> BreakerView:
        """How it stands now."""
        wait_s = max(0.0, self._open_until - self._clock()) if self.state == "open" else None
        return BreakerView(self.name, self.state, self._core.fail_counter, self._openings, wait_s)

    def settle(self, ticket: Ticket, *, good: bool | None) -> None:
        """Take a ticket back (tickets call this); None gives the place back and votes nothing."""
        self._probes.discard(ticket)
        if good is None or ticket.generation != self._generation:
            return
        self._outcomes.add(self._clock(), good=good)
        if good:
            if self._core.fail_counter or self._state != "closed":  # else there is nothing to forget
                self._core.call(_went_well)
            return
        self._why = "the probe failed" if ticket.probe else f"{self._core.fail_counter + 1} failures in a row"
        with suppress(_Failed):
            self._core.call(_went_ill)
        self._trip_on_rate()

    def _probe_wait_s(self, now: float) -> float | None:
        live = [ticket.expires for ticket in self._probes if ticket.expires > now]
        if len(live) < self._settings.probes:
            return None
        # A probe's verdict comes long before its lease ends; asking again after a first opening is soon enough.
        return min(min(live) - now, self._settings.open_s)

    def _trip_on_rate(self) -> None:
        seen = self._outcomes.good + self._outcomes.bad
        if self._state != "closed" or seen < self._settings.min_calls:
            return
        if self._outcomes.bad >= self._settings.failure_rate * seen:
            self._why = f"{self._outcomes.bad} of {seen} calls failed within {self._settings.window_s:.0f} s"
            self._core.open()

    def _enter(self, state: State) -> None:
        self._state = state
        self._generation += 1
        self._probes = set()
        for_s = None
        if state == "open":
            for_s = self._opening_s()
            self._open_until = self._clock() + for_s
        elif state == "closed":
            self._why = self._why if self._why == "reset by hand" else "its probes succeeded"
            self._openings = 0
            self._outcomes.clear()
        self._moved(state, self._why, for_s)

    def _opening_s(self) -> float:
        settings = self._settings
        self._openings += 1
        span = min(settings.open_s * 2 ** min(self._openings - 1, 30), settings.max_open_s)
        return span * self._rng.uniform(1 - settings.jitter, 1 + settings.jitter)
