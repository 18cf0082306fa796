"""How providers and models do, from the calls that were made anyway, and from cheap checks where they are asked for.

A check informs and never opens or closes a breaker: real traffic does (guide reliability-and-security §4.1). A guard
tells it of every call (`ports.Watch`); breakers, holds and limits are handed in to be judged. In memory, per process.
"""

import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import anyio

from providers.errors import ProviderError

from .breaker import State
from .events import BreakerChanged, Event
from .guard import Barrier
from .limits import LimitView
from .outcomes import Outcomes
from .ports import Ending
from .types import Deployment

Verdict = Literal["healthy", "degraded", "unhealthy"]
WINDOW_S = 300.0  # five minutes of outcomes
SAMPLES = 256  # latencies kept for percentiles
SICK_RATE, SICK_CALLS = 0.10, 5  # degraded from this share of failures on, among at least so many calls
_DEAD = ("key refused", "quota exhausted")


@dataclass(frozen=True, slots=True)
class ModelHealth:
    """One deployment: seconds, and the share 0..1 of calls that succeeded lately; None where nothing is known."""

    latency_p50_s: float | None = None
    latency_p95_s: float | None = None
    success_rate: float | None = None
    degraded: bool = False  # so many calls failed lately that others are better asked


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    """One provider, as `plenum://providers/{name}` shows it. Times are seconds since the epoch, `_s` are seconds."""

    provider: str
    status: Verdict
    reasons: tuple[str, ...]
    consecutive_failures: int
    error_rate: float | None
    last_check: float | None
    last_used: float | None
    uptime_s: float
    latency_p50_s: float | None
    latency_p95_s: float | None
    breaker: State
    limiter: LimitView | None


@dataclass(frozen=True, slots=True)
class Check:
    """Ask a provider something cheap (its model list, never a completion) every `interval_s`, for `timeout_s` at most."""

    provider: str
    ask: Callable[[], Awaitable[object]]
    interval_s: float = 60.0
    timeout_s: float = 5.0


@dataclass(slots=True)
class _Pulse:
    since: float
    failures: int = 0
    outcomes: Outcomes = field(default_factory=lambda: Outcomes(WINDOW_S))
    latencies: deque[float] = field(default_factory=lambda: deque[float](maxlen=SAMPLES))
    last_used: float | None = None
    last_check: float | None = None
    ailment: str = ""  # what the last check found, until a call succeeds


class Health:
    """What is known of everybody. `clock` is monotonic seconds, `wall` seconds since the epoch."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._clock, self._wall = clock, wall
        self._providers: dict[str, _Pulse] = {}
        self._models: dict[str, _Pulse] = {}

    def started(self, deployment: Deployment) -> None:
        """A call was admitted."""
        self._pulse(self._providers, deployment.provider).last_used = self._wall()

    def ended(self, deployment: Deployment, ending: Ending) -> None:
        """It ended. The caller's faults, limits and our own troubles say nothing of the provider's health."""
        if ending.good is None or (ending.error is not None and not _sickness(ending.error)):
            return
        now = self._clock()
        for pulses, name in ((self._providers, deployment.provider), (self._models, deployment.name)):
            pulse = self._pulse(pulses, name)
            pulse.outcomes.add(now, good=ending.good)
            pulse.failures = 0 if ending.good else pulse.failures + 1
            if ending.good:
                pulse.latencies.append(ending.latency_s)
                pulse.ailment = ""

    def observe(self, event: Event) -> None:
        """Uptime counts from when an endpoint's breaker last closed."""
        if isinstance(event, BreakerChanged) and not event.model:
            pulse = self._pulse(self._providers, event.provider)
            pulse.since = self._clock() if event.state == "closed" else math.inf

    def checked(self, provider: str, ailment: str = "") -> None:
        """A check ended; `ailment` in words of ours, empty if all was well."""
        pulse = self._pulse(self._providers, provider)
        pulse.last_check, pulse.ailment = self._wall(), ailment

    def model(self, name: str) -> ModelHealth:
        """How the deployment of this name (`provider/model`) does."""
        if (pulse := self._models.get(name)) is None:
            return ModelHealth()
        rate = pulse.outcomes.rate(self._clock())
        if rate is None:
            return ModelHealth(*_percentiles(pulse.latencies))
        calls = pulse.outcomes.good + pulse.outcomes.bad
        return ModelHealth(*_percentiles(pulse.latencies), 1 - rate, rate >= SICK_RATE and calls >= SICK_CALLS)

    def provider(self, name: str, barriers: Sequence[Barrier] = (), limiter: LimitView | None = None) -> ProviderHealth:
        """How a provider does, given what stands in its way (`Guards.show()`) and its limits."""
        now = self._clock()
        pulse = self._pulse(self._providers, name)
        barriers = [barrier for barrier in barriers if barrier.provider == name]
        found = [*_from_barriers(barriers), *_from_pulse(pulse, now)]
        status: Verdict = "healthy"
        if found:
            status = "unhealthy" if any(verdict == "unhealthy" for verdict, _ in found) else "degraded"
        reasons = tuple(why for _, why in found) or (() if pulse.last_used or pulse.last_check else ("not used yet",))
        return ProviderHealth(
            name,
            status,
            reasons,
            pulse.failures,
            pulse.outcomes.rate(now),
            pulse.last_check,
            pulse.last_used,
            max(0.0, now - pulse.since),
            *_percentiles(pulse.latencies),
            breaker=_worst(barriers),
            limiter=limiter,
        )

    def _pulse(self, pulses: dict[str, _Pulse], name: str) -> _Pulse:
        if (pulse := pulses.get(name)) is None:
            pulse = pulses[name] = _Pulse(self._clock())
        return pulse


async def keep_checking(checks: Sequence[Check], health: Health) -> None:
    """Run every check at its interval until cancelled; a task of the composition root."""
    async with anyio.create_task_group() as tasks:
        for check in checks:
            tasks.start_soon(_repeat, check, health)


class Checkup:
    """The checks in force, run by one task of the composition root; a changed configuration brings others."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._checks: Sequence[Check] = ()
        self._round = anyio.CancelScope()

    def adopt(self, checks: Sequence[Check]) -> None:
        """Put these in force in place of those before."""
        self._checks = checks
        self._round.cancel()

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            with anyio.CancelScope() as self._round:
                await keep_checking(self._checks, self._health)
                await anyio.sleep_forever()


async def _repeat(check: Check, health: Health) -> None:
    while True:
        health.checked(check.provider, await _ailment(check))
        await anyio.sleep(check.interval_s)


async def _ailment(check: Check) -> str:
    try:
        with anyio.fail_after(check.timeout_s):
            await check.ask()
    except TimeoutError:
        return f"the check had no answer within {check.timeout_s:g} s"
    except ProviderError as error:
        return f"the check failed: {error.message}"
    except Exception as error:  # noqa: BLE001 - a plug-in's provider may raise anything: that is an ailment too
        return f"the check failed: {type(error).__name__}"
    return ""


def _sickness(error: ProviderError) -> bool:
    return error.vote == "failure" and error.fault in {"provider", "credential"}


def _from_barriers(barriers: Sequence[Barrier]) -> Iterator[tuple[Verdict, str]]:
    for barrier in barriers:
        if barrier.state == "closed":
            continue
        whole = not barrier.model and barrier.state == "open"
        held = barrier.openings == 0
        wait = f", for {barrier.for_s:.0f} s" if barrier.for_s else ""
        what = barrier.reason if held else f"circuit {barrier.state.replace('_', '-')}: {barrier.reason}"
        about = f"{barrier.model}: " if barrier.model else ""
        sick = whole and (not held or barrier.reason in _DEAD)
        yield "unhealthy" if sick else "degraded", f"{about}{what}{wait}"


def _from_pulse(pulse: _Pulse, now: float) -> Iterator[tuple[Verdict, str]]:
    if pulse.ailment:
        yield "unhealthy", pulse.ailment
    rate = pulse.outcomes.rate(now)
    calls = pulse.outcomes.good + pulse.outcomes.bad
    if rate is not None and rate >= SICK_RATE and calls >= SICK_CALLS:
        yield "degraded", f"{rate:.0%} of {calls} calls failed in the last {WINDOW_S / 60:.0f} minutes"
    elif pulse.failures >= 2 and rate:
        yield "degraded", f"the last {pulse.failures} calls failed"


def _worst(barriers: Sequence[Barrier]) -> State:
    states = {barrier.state for barrier in barriers if not barrier.model and barrier.openings}
    return "open" if "open" in states else "half_open" if "half_open" in states else "closed"


def _percentiles(latencies: Sequence[float]) -> tuple[float, float] | tuple[None, None]:
    if not latencies:
        return None, None
    ordered = sorted(latencies)
    return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
