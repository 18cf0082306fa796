"""The order of deployments to try and, after each kind of failure, where next and when. Pure: time comes as a value.

Above: `manager.py` walks it. It never calls anybody, sleeps or knows money (guide reliability-and-security §4.3, §4.4).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from providers.errors import ProviderError

from .ports import Guard
from .settings import RetrySettings
from .types import Deployment

Why = Literal["attempts", "caller", "refused", "deadline", "wait", "exhausted"]
LAST_RESORT = frozenset({"truncated", "malformed", "empty"})  # worth a second call where nobody else is left to ask


class Hop(NamedTuple):
    """Ask this deployment after `delay_s` seconds. `alone`: nobody else is left, so it may use the whole deadline."""

    deployment: Deployment
    delay_s: float = 0.0
    repair: bool = False
    force: bool = False
    alone: bool = False
    hedge: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """Nobody more is asked. `after_s`: seconds until somebody could be, where that is known."""

    why: Why
    after_s: float | None = None


@dataclass(slots=True)
class RetryTokens:
    """Retry budgets per deployment, shared by all asks: a retry must be paid for by earlier successes."""

    settings: RetrySettings
    _left: dict[str, float] = field(default_factory=dict[str, float])

    def left(self, name: str) -> float:
        """Tokens of this deployment's bucket."""
        return self._left.get(name, self.settings.bucket)

    def cost(self, error: ProviderError) -> float:
        """What retrying after this error costs."""
        return self.settings.throttle_cost if error.fault == "limit" else self.settings.transient_cost

    def take(self, name: str, cost: float) -> None:
        """Pay for a retry."""
        self._left[name] = max(0.0, self.left(name) - cost)

    def give(self, name: str, tokens: float) -> None:
        """Refund a retry that helped, or credit a first success."""
        if name in self._left:
            self._left[name] = min(self.settings.bucket, self._left[name] + tokens)


@dataclass(slots=True)
class _Leg:
    deployment: Deployment
    ready_at: float
    calls: int = 0
    paid: float = 0.0  # retry tokens of the last hop here
    error: ProviderError | None = None
    out: bool = False
    repaired: bool = False


class Itinerary:
    """One ask's way through its candidates, `order` best first, `held` with the moment each returns (same clock)."""

    def __init__(
        self,
        order: Sequence[Deployment],
        held: Sequence[tuple[Deployment, float]] = (),
        *,
        deadline: float,
        tokens: RetryTokens,
        draw: Callable[[], float],
        ttft_s: Mapping[str, float] | None = None,
        least_s: float | None = None,
    ) -> None:
        self._legs = [_Leg(d, 0.0) for d in order] + [_Leg(d, at) for d, at in held]
        self._deadline = deadline
        self._tokens = tokens
        self._rules = tokens.settings
        self._draw = draw
        self._ttft_s = ttft_s or {}
        self._least_s = self._rules.least_s if least_s is None else least_s
        self._attempts = 0
        self._refusals = 0
        self._sick: set[str] = set()
        self._stop: Stop | None = None

    def next(self, now: float) -> Hop | Stop:
        """Where to go now. The first attempt may start however little time is left; later ones need a fair chance."""
        if self._stop:
            return self._stop
        if self._attempts >= self._rules.attempts:
            return Stop("attempts")
        leg = (self._repairable() if self._sick else None) or self._fresh(now) or self._soonest()
        if leg is None:
            return Stop("exhausted")
        delay = max(0.0, leg.ready_at - now)
        if self._attempts and now + delay + self._chance(leg) > self._deadline:
            return Stop("wait" if delay and leg.calls == 0 else "deadline", delay or None)
        if now + delay > self._deadline:
            return Stop("wait", delay)
        repair = leg.error is not None and leg.error.kind == "wrong_schema"
        return Hop(leg.deployment, delay, repair=repair, alone=self._is_alone(leg))

    def forced(self) -> Hop | None:
        """The best of those held back, to be probed whatever its breaker says (panic rule)."""
        leg = next((leg for leg in self._legs if not leg.out and leg.calls == 0), None)
        return Hop(leg.deployment, force=True, alone=True) if leg else None

    def spare(self, now: float, beside: Deployment, guard: Guard) -> Hop | None:
        """An untried other deployment for a hedge, in good health: who was ill has no probe to waste on a race."""
        leg = self._fresh(now, lambda d: d != beside and guard.blocked(d, probe=False) is None)
        return Hop(leg.deployment, alone=True, hedge=True) if leg and self._attempts < self._rules.attempts else None

    def started(self, hop: Hop) -> None:
        """A call is being made: it counts, and if it is a second one its tokens are paid."""
        leg = self._leg(hop.deployment)
        self._attempts += 1
        leg.calls += 1
        leg.repaired = leg.repaired or hop.repair
        if leg.error is not None and not hop.repair:
            leg.paid = self._tokens.cost(leg.error)
            self._tokens.take(hop.deployment.name, leg.paid)

    def succeeded(self, hop: Hop) -> None:
        """It answered: refund what the retry cost, or credit a first success."""
        leg = self._leg(hop.deployment)
        self._tokens.give(hop.deployment.name, leg.paid or 1.0)

    def failed(self, hop: Hop, error: ProviderError, now: float) -> None:
        """It failed; what that means for it and for the others is decided here."""
        leg = self._leg(hop.deployment)
        leg.error = error
        self._sick.add(hop.deployment.endpoint)
        if not error.elsewhere:
            self._stop = Stop("caller")
        self._rule_out(leg, error)
        leg.ready_at = now + self._delay(leg, error)

    def turned_away(self, hop: Hop, wait_s: float, now: float) -> None:
        """No call was made: a limit or breaker has no place before `wait_s` seconds."""
        self._unstart(hop).ready_at = now + max(wait_s, 0.01)

    def dropped(self, hop: Hop) -> None:
        """No call was made and none can be: the money does not reach."""
        self._unstart(hop).out = True

    def _unstart(self, hop: Hop) -> _Leg:
        leg = self._leg(hop.deployment)
        self._attempts -= 1
        leg.calls -= 1
        if leg.paid:
            self._tokens.give(hop.deployment.name, leg.paid)
            leg.paid = 0.0
        return leg

    def _rule_out(self, leg: _Leg, error: ProviderError) -> None:
        failed = leg.deployment
        match error.kind:
            case "content_refused":
                self._refusals += 1
                if self._refusals > 1:
                    self._stop = Stop("refused")
                self._drop(lambda d: d.card.family == failed.card.family)
            case "context_too_long":
                self._drop(lambda d: d.card.context_window <= failed.card.context_window)
            case "authentication" | "quota_exhausted":
                self._drop(lambda d: d.endpoint == failed.endpoint)
            case _:
                leg.out = leg.calls >= 2 or not self._retryable(leg, error)

    def _retryable(self, leg: _Leg, error: ProviderError) -> bool:
        if error.kind == "wrong_schema":
            return not leg.repaired
        if self._tokens.left(leg.deployment.name) < self._tokens.cost(error):
            return False
        return error.again or error.kind in LAST_RESORT

    def _drop(self, condemned: Callable[[Deployment], bool]) -> None:
        for leg in self._legs:
            leg.out = leg.out or condemned(leg.deployment)

    def _delay(self, leg: _Leg, error: ProviderError) -> float:
        if error.after is not None and error.after > 0:
            return error.after  # a pushback is exact
        if error.kind == "wrong_schema":
            return 0.0  # a repair waits for nobody
        base = self._rules.throttle_base_s if error.fault == "limit" else self._rules.base_s
        return self._draw() * min(base * 2 ** max(0, leg.calls - 1), self._rules.max_s)

    def _chance(self, leg: _Leg) -> float:
        return max(self._least_s, self._ttft_s.get(leg.deployment.name, 0.0))

    def _repairable(self) -> _Leg | None:
        return next((leg for leg in self._legs if leg.error and leg.error.kind == "wrong_schema" and not leg.out), None)

    def _fresh(self, now: float, fit: Callable[[Deployment], bool] | None = None) -> _Leg | None:
        sick: _Leg | None = None
        for leg in self._legs:
            if leg.out or leg.calls or leg.ready_at > now or not (fit is None or fit(leg.deployment)):
                continue
            if leg.deployment.endpoint not in self._sick:
                return leg
            sick = sick or leg
        return sick

    def _soonest(self) -> _Leg | None:
        open_ = [leg for leg in self._legs if not leg.out and leg.calls < 2]
        return min(open_, key=lambda leg: (leg.ready_at, leg.calls), default=None)

    def _is_alone(self, leg: _Leg) -> bool:
        if self._attempts + 1 >= self._rules.attempts:
            return True
        return not any(other is not leg and not other.out and not other.calls for other in self._legs)

    def _leg(self, deployment: Deployment) -> _Leg:
        return next(leg for leg in self._legs if leg.deployment is deployment)
