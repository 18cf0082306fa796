"""The Guard of `ports.py`: a breaker per endpoint, one more for a model that fails alone, and the cooldowns of both.

Told how each admitted call ended, it tells the watchers (balancer, health) and the observer. It does no I/O; `leases`
may ask a fleet before a half-open probe. Below it `breaker.py` and `cooldowns.py`, above it the manager.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

from providers.errors import ModelNotFound, ProviderError

from .breaker import Breaker, BreakerSettings, BreakerView, State, Ticket
from .cooldowns import Cooldowns, CooldownSettings
from .events import BreakerChanged, CooledDown, Observer, unobserved
from .ports import CircuitOpen, Ending, Leases, NoLeases, Permit, Watch
from .types import Deployment

FORCED_EVERY_S = 5.0  # the panic rule's forced probe, guide reliability-and-security §4.3


@dataclass(frozen=True, slots=True)
class Rules:
    """How a Guard judges."""

    breaker: BreakerSettings = BreakerSettings()
    cooldown: CooldownSettings = CooldownSettings()


@dataclass(frozen=True, slots=True)
class Barrier:
    """What stands in an endpoint's way, for people: its breaker (of the endpoint, or of one `model`) or a hold."""

    endpoint: str
    provider: str
    model: str
    state: State
    failures: int
    openings: int
    reason: str
    for_s: float | None


class Guards:
    """Breakers and cooldowns of all deployments. `clock` is monotonic seconds; watchers must not raise."""

    def __init__(
        self,
        rules: Rules | None = None,
        *,
        watchers: Sequence[Watch] = (),
        observe: Observer = unobserved,
        leases: Leases | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self.rules = rules or Rules()
        self.clock = clock
        self.leases: Leases = leases or NoLeases()
        self.watchers = tuple(watchers)
        self.cooldowns = Cooldowns(self.rules.cooldown, clock)
        self._observe = observe
        self._rng = rng or random.Random()  # noqa: S311 - jitter, no secret
        self._breakers: dict[str, Breaker] = {}
        self._moved: set[str] = set()  # of those the ones that are not closed
        self._forced: dict[str, float] = {}
        self._units: dict[str, Deployment] = {}  # a deployment of each name seen, to say whose it is

    def admit(self, deployment: Deployment, *, force: bool = False, probe: bool = True) -> "Admission":
        """A permit for one call. Entering raises CircuitOpen; without `probe`, also where the call would be one.

        `force` is the panic rule: when nothing else is left, one call in five seconds goes past an open breaker or a
        guess of ours, but never past a wait the provider stated, an empty account or a dead key.
        """
        return Admission(self, deployment, force=force, probe=probe)

    def blocked(self, deployment: Deployment, *, probe: bool = True) -> tuple[str, float] | None:
        """Why and for how many seconds this deployment is held back, None if it is not. Changes nothing."""
        if self.at_rest:
            return None
        barriers = self._barriers(deployment, force=False, probe=probe)
        return max(barriers, key=lambda barrier: barrier[1], default=None)

    @property
    def at_rest(self) -> bool:
        """Whether nobody is held back: every breaker is closed and nothing cools."""
        return not self._moved and not self.cooldowns

    def standing(self, deployment: Deployment) -> Literal["open", "limited"] | None:
        """What holds it back: a breaker, or a cooldown (a rate limit, a quota, a refused key). Changes nothing."""
        names = deployment.endpoint, deployment.unit
        breakers = [self._breakers[name] for name in names if name in self._breakers]
        if any(breaker.wait_s() is not None for breaker in breakers):
            return "open"
        return "limited" if any(self.cooldowns.wait_s(name) is not None for name in names) else None

    def show(self) -> tuple[Barrier, ...]:
        """Every breaker, and every hold still running."""
        return (*map(self._breaker_row, self._breakers.values()), *self._hold_rows())

    def reset(self, name: str = "") -> int:
        """Close the breakers and forget the holds of a provider, endpoint or `provider/model`; of all without a name.

        Returns how many there were.
        """
        chosen = [key for key, whose in self._units.items() if not name or name in _names(key, whose)]
        closed = [self._breakers[key].reset() for key in chosen if key in self._breakers]
        freed = [key for key in chosen if self.cooldowns.reset(key)]
        return len(closed) + len(freed)

    def enter(self, deployment: Deployment, *, force: bool, probe: bool) -> tuple[Ticket, Ticket | None]:
        """Tickets of the endpoint's breaker and of the model's own, if it has one (admissions call this)."""
        endpoint, model = deployment.endpoint, deployment.unit
        if not self.at_rest:
            for why, wait_s in self._barriers(deployment, force=force, probe=probe):
                raise CircuitOpen(wait_s, why)
            if force and (barrier := self.blocked(deployment)):
                self._spend_force(endpoint, barrier)
        own = self._breakers[model].admit(force=force) if model in self._breakers else None
        ticket = self._breaker(endpoint, deployment).admit(force=force)
        return ticket, own

    def fail(self, deployment: Deployment, error: ProviderError) -> None:
        """Cool what this error asks to cool, and tell."""
        alone = concerns_model(error)
        name = deployment.unit if alone else deployment.endpoint
        if hold := self.cooldowns.strike(name, error):
            self._units[name] = deployment
            model = deployment.model if alone else ""
            for_s = hold.until - hold.since
            self._observe(CooledDown(deployment.endpoint, deployment.provider, hold.reason, for_s, model))

    def blame_model(self, deployment: Deployment) -> None:
        """One vote against this model alone, whose breaker is made now if it had none."""
        self._breaker(deployment.unit, deployment).admit().fail()

    def _barriers(self, deployment: Deployment, *, force: bool, probe: bool) -> Iterator[tuple[str, float]]:
        for name in (deployment.endpoint, deployment.unit):
            if (held := self.cooldowns.wait_s(name, force=force)) is not None:
                yield f"{deployment.provider}: {held[0]}", held[1]
            breaker = self._breakers.get(name)
            if breaker is not None and (wait_s := breaker.wait_s(force=force)) is not None:
                yield f"{deployment.provider}: circuit open, {breaker.why}", wait_s
            if not probe and (self.cooldowns.trial(name) or (breaker is not None and breaker.state != "closed")):
                yield f"{deployment.provider}: recovering, and this call is to be no probe", 0.0

    def _spend_force(self, endpoint: str, barrier: tuple[str, float]) -> None:
        now = self.clock()
        if now < (again := self._forced.get(endpoint, now)):
            raise CircuitOpen(min(again - now, barrier[1]), barrier[0])
        self._forced[endpoint] = now + FORCED_EVERY_S

    def _breaker(self, name: str, deployment: Deployment) -> Breaker:
        if (breaker := self._breakers.get(name)) is None:
            self._units[name] = deployment

            def moved(state: State, why: str, for_s: float | None) -> None:
                (self._moved.discard if state == "closed" else self._moved.add)(name)
                model = deployment.model if name != deployment.endpoint else ""
                self._observe(BreakerChanged(deployment.endpoint, deployment.provider, state, why, for_s, model))

            breaker = self._breakers[name] = Breaker(name, self.rules.breaker, self.clock, self._rng, moved)
        return breaker

    def _breaker_row(self, breaker: Breaker) -> Barrier:
        view: BreakerView = breaker.view()
        whose = self._units[view.name]
        model = whose.model if view.name != whose.endpoint else ""
        return Barrier(
            whose.endpoint,
            whose.provider,
            model,
            view.state,
            view.failures,
            view.openings,
            breaker.why,
            view.opens_for_s,
        )

    def _hold_rows(self) -> Iterator[Barrier]:
        for hold in self.cooldowns.running():
            if (whose := self._units.get(hold.name)) is not None:
                model = whose.model if hold.name != whose.endpoint else ""
                yield Barrier(whose.endpoint, whose.provider, model, "open", 0, 0, hold.reason, hold.left_s)


def concerns_model(error: ProviderError) -> bool:
    """Whether this error says something of one model only, not of its endpoint."""
    return error.model_only or isinstance(error, ModelNotFound)


def _names(key: str, whose: Deployment) -> tuple[str, ...]:
    return key, whose.provider, whose.endpoint, whose.name


class Admission:
    """One call on its way: the context manager and the permit in one. Unreported, it votes nothing."""

    __slots__ = (
        "_began",
        "_deployment",
        "_ended",
        "_force",
        "_guards",
        "_leased",
        "_looks",
        "_own",
        "_probe",
        "_ticket",
    )

    def __init__(self, guards: Guards, deployment: Deployment, *, force: bool, probe: bool) -> None:
        self._guards = guards
        self._deployment = deployment
        self._force, self._probe = force, probe
        self._own: Ticket | None = None
        self._looks: list[str] = []
        self._leased = ""
        self._ended = True

    async def __aenter__(self) -> Permit:
        guards, deployment = self._guards, self._deployment
        self._ticket, self._own = guards.enter(deployment, force=self._force, probe=self._probe)
        self._began = guards.clock()
        self._ended = False
        if guards.cooldowns:
            self._looks = [n for n in (deployment.endpoint, deployment.unit) if guards.cooldowns.look(n)]
        for watcher in guards.watchers:
            watcher.started(deployment)
        if self._ticket.probe:
            await self._lease()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._ended:
            self._abandon()
            self._finish(Ending(None, self._guards.clock() - self._began))
        if self._leased:
            await self._guards.leases.give(self._deployment.endpoint, self._leased)

    def succeeded(self, latency_s: float, ttft_s: float | None, tokens: int) -> None:
        """A complete answer after `latency_s`, its first token after `ttft_s`, with `tokens` of output."""
        if self._ended:
            return
        self._ticket.succeed()
        if self._own is not None:
            self._own.succeed()
        if cooldowns := self._guards.cooldowns:
            for name in (self._deployment.endpoint, self._deployment.unit):
                cooldowns.forgive(name, self._began)
        self._finish(Ending(True, latency_s, ttft_s, tokens))

    def failed(self, error: ProviderError) -> None:
        """It failed; what kind of vote that is, the error knows."""
        if self._ended:
            return
        guards, deployment = self._guards, self._deployment
        if error.vote == "neutral" or error.fault == "local":
            self._abandon()
        elif error.model_only:
            self._fail_model()
        else:
            self._ticket.fail()
            self._abandon()
        guards.fail(deployment, error)
        self._finish(Ending(False, guards.clock() - self._began, error=error))

    def _fail_model(self) -> None:
        if self._own is not None:
            self._own.fail()
        else:
            self._guards.blame_model(self._deployment)
        self._abandon()

    def _abandon(self) -> None:
        self._ticket.abandon()
        if self._own is not None:
            self._own.abandon()

    def _finish(self, ending: Ending) -> None:
        self._ended = True
        for name in self._looks:
            self._guards.cooldowns.looked(name)
        for watcher in self._guards.watchers:
            watcher.ended(self._deployment, ending)

    async def _lease(self) -> None:
        guards, name = self._guards, self._deployment.endpoint
        settings = guards.rules.breaker
        try:
            taken = await guards.leases.take(name, settings.probes, settings.lease_s)
        except BaseException:  # cancelled while asking: nothing was called, nothing is voted
            await self.__aexit__(None, None, None)
            raise
        if not isinstance(taken, str):
            await self.__aexit__(None, None, None)
            raise CircuitOpen(taken, f"{self._deployment.provider}: another replica is probing")
        self._leased = taken
