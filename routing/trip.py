"""One ask on its way: what was tried, what it cost, what must be told. The only mutable record of a request."""

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from providers.errors import ProviderError
from providers.types import Answer, Request

from .contract import Terms, repair, terms, was_cut
from .decision import Carbon, Decision
from .envelope import cost_usd, expected_output
from .errors import BudgetExceeded, Refusal
from .events import Tell
from .filters import nearest, output_cap
from .itinerary import Hop
from .ports import Bill, QuotaWait
from .types import UNASKED, Ask, Attempt, CascadePlan, CostBasis, Deployment, Exclusion, Receipt, Result

_DOUBT: tuple[CostBasis, ...] = (
    "unpriced",
    "estimated",
    "priced",
    "reported",
)  # the most doubtful part names the whole


class Landed(Protocol):
    """A call that ended well, as much of it as a receipt tells."""

    hop: Hop
    request: Request
    ttft_s: float | None

    @property
    def partial(self) -> Answer | None: ...


@dataclass(slots=True)
class Trip:
    """`started` and `deadline` are monotonic seconds, `at` seconds since the epoch."""

    id: str
    ask: Ask
    tell: Tell
    started: float
    deadline: float
    at: float
    terms: Terms = Terms()
    decision: Decision | None = None
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    errors: list[ProviderError] = field(default_factory=list[ProviderError])
    warnings: list[str] = field(default_factory=list[str])
    away: dict[str, Exclusion] = field(default_factory=dict[str, Exclusion])
    poor: BudgetExceeded | None = None
    calls: int = 0
    planned: bool = False
    asked: bool = True  # False of one that is only explained: nobody hears that it would have failed
    broken: tuple[Answer, ProviderError] | None = None  # the answer a repair attempt starts from

    def agree(self) -> None:
        """Work out what the answer will be held to. Raises InvalidRequest where the ask's schema is none."""
        self.terms = terms(self.ask.request, allow_truncated=self.ask.allow_truncated)

    def plan(self) -> CascadePlan | None:
        """The decision's plan, once: what follows it is an ordinary journey."""
        decision = self.decision
        if decision is None or self.planned:
            return None
        self.planned = True
        return decision.plan

    def left(self, now: float) -> float:
        """Seconds to the deadline."""
        return max(0.0, self.deadline - now)

    def turned(self, deployment: Deployment, why: Exception) -> None:
        """A deployment was chosen and could not even be asked."""
        code = (
            why.code
            if isinstance(why, Refusal)
            else "rate_limited"
            if isinstance(why, QuotaWait)
            else "provider_failed"
        )
        exclusion = Exclusion(deployment, str(why), getattr(why, "wait_s", None), code)
        self.away[deployment.name] = exclusion

    @property
    def prefix(self) -> str:
        """The key of the prompt's beginning, once it is decided who is asked."""
        return self.decision.prefix if self.decision is not None else ""

    @property
    def spent_usd(self) -> float:
        """What the attempts so far cost, as far as known."""
        return sum([attempt.cost_usd or 0.0 for attempt in self.attempts])

    def request_for(self, hop: Hop, room_usd: float | None) -> Request:
        """The request as this deployment shall see it: an output limit always, a repair when that is what is done."""
        request, decision = self.ask.request, self.decision
        if decision is not None and request.max_tokens is None:
            cap = output_cap(hop.deployment, decision.needs, decision.sizes, room_usd)
            request = replace(request, max_tokens=cap)
        if decision is not None and decision.effort is not None and request.reasoning is None:
            request = replace(request, reasoning=decision.effort)
        if hop.repair and self.broken is not None:
            request = repair(request, *self.broken)
        return request

    def bill(self, hop: Hop, request: Request) -> Bill:
        """The worst case of this call. A repair carries more input than was measured: it is bounded by its bytes."""
        decision = self.decision
        bound = decision.sizes.bound(hop.deployment.card) if decision else 0
        if hop.repair:
            bound += sum(16 + len(m.text.encode()) for m in request.messages[len(self.ask.request.messages) :])
        self.calls += 1
        return Bill(self.id, self.calls, self.ask, hop.deployment, bound, request.max_tokens or 0)

    def tokens(self, bill: Bill, request: Request) -> int:
        """What this call likely takes of a limit on tokens, input and output."""
        card, decision = bill.deployment.card, self.decision
        sent = decision.sizes.estimate(card) if decision else 0
        return sent + (bill.output_tokens and expected_output(request, card))

    def receipt(self, now: float) -> Receipt:
        """The receipt so far: what a refusal carries."""
        return Receipt(**self._facts(now))

    def _facts(self, now: float) -> dict[str, Any]:
        """The fields of a receipt that are known whatever comes of it."""
        decision, ask = self.decision, self.ask
        cost, basis = _total(self.attempts)
        facts: dict[str, Any] = {
            "id": self.id,
            "conversation": ask.conversation or self.id,
            "cost_usd": cost,
            "cost_basis": basis,
            "latency_s": now - self.started,
            "attempts": tuple(self.attempts),
            "context": ask.context,
            "warnings": tuple(dict.fromkeys((*ask.warnings, *(decision.warnings if decision else ()), *self.warnings))),
            "caller": ask.caller,
            "task": ask.task or "",
            "at": self.at,
        }
        if decision is None:
            return facts
        if excluded := {**decision.excluded, **self.away}:
            for attempt in self.attempts:
                excluded.pop(f"{attempt.provider}/{attempt.model}", None)
        facts |= {
            "strategy": decision.strategy,
            "reasoning": decision.reasoning,
            "excluded": nearest(excluded),
            "excluded_count": len(excluded),
        }
        return facts

    def result(self, now: float, landed: Landed, carbon: Carbon) -> Result:
        """The answer with its complete receipt."""
        deployment, answer = landed.hop.deployment, landed.partial
        assert answer is not None, "landed"
        fallbacks = self._fallbacks(deployment)
        self._warn(answer, landed.request.max_tokens, fallbacks)
        ok = next(a for a in reversed(self.attempts) if a.outcome == "ok" and a.model == deployment.model)
        facts = self._facts(now)
        facts.update(
            provider=deployment.provider,
            model=deployment.model,
            model_returned=answer.model_returned,
            finish_reason=answer.finish_reason or "",
            usage=answer.usage,
            cost_usd=None if ok.cost_usd is None else self.spent_usd,
            estimated_cost_usd=self._estimate(deployment),
            ttft_s=landed.ttft_s,
            simulated=answer.simulated or deployment.simulated,
            fallbacks=fallbacks,
            carbon_g=carbon(deployment, answer.usage.output, ok.latency_s),
        )
        return Result(answer, Receipt(**facts))

    def explanation(self, now: float, carbon: Carbon) -> Receipt:
        """What would be done: the first candidate, what it should cost, and everybody's score, best first."""
        decision = self.decision
        assert decision is not None, "decided"
        chosen = decision.order[0]
        output = expected_output(self.ask.request, chosen.card)
        scores = decision.scores
        return replace(
            self.receipt(now),
            provider=chosen.provider,
            model=chosen.model,
            cost_usd=0.0,
            estimated_cost_usd=self._estimate(chosen),
            simulated=chosen.simulated,
            carbon_g=carbon(chosen, output, 0.0),
            candidates=tuple((d.name, round(scores[d.name], 4)) for d in decision.order),
        )

    def _estimate(self, deployment: Deployment) -> float | None:
        decision = self.decision
        if deployment.price is None or decision is None:
            return None
        output = expected_output(self.ask.request, deployment.card)
        return cost_usd(deployment.price, decision.sizes.estimate(deployment.card), output)

    def _warn(self, answer: Answer, sent: int | None, fallbacks: tuple[str, ...]) -> None:
        self.warnings += answer.warnings
        if self.ask.request.max_tokens is None and sent is not None:
            self.warnings.append(f"{UNASKED}: {sent:,} was sent")
        if was_cut(answer):
            self.warnings.append("the answer was cut at max_tokens; raise it for the rest")
        if fallbacks and self.decision is not None:
            self.warnings.append(f"{self.decision.names[0]} could not answer; {fallbacks[-1]} answered in its place")

    def _fallbacks(self, deployment: Deployment) -> tuple[str, ...]:
        decision = self.decision
        if decision is None or not decision.falls_back(deployment.name):
            return ()
        tried = dict.fromkeys(f"{a.provider}/{a.model}" for a in self.attempts)
        return tuple(name for name in tried if decision.falls_back(name))


def _total(attempts: list[Attempt]) -> tuple[float, CostBasis]:
    seen = [attempt.cost_basis for attempt in attempts if attempt.cost_usd != 0]
    doubt: list[CostBasis] = [basis for basis in _DOUBT if basis in seen]
    return sum([attempt.cost_usd or 0.0 for attempt in attempts]), doubt[0] if doubt else "priced"
