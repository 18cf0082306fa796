"""Why there is no answer, and what helps: from what was tried and who was excluded to one refusal. Pure."""

from collections import Counter
from collections.abc import Callable, Sequence

from providers.errors import ProviderError, ProxyRefused

from .errors import (
    BudgetExceeded,
    DeadlinePassed,
    InvalidRequest,
    KeyRefused,
    Limited,
    NoModel,
    PolicyForbids,
    PromptTooLong,
    ProvidersFailed,
    Refusal,
    Refused,
)
from .itinerary import Stop
from .types import Exclusion, Receipt

_BY_CODE: dict[str, type[Refusal]] = {
    refusal.code: refusal
    for refusal in (NoModel, PromptTooLong, BudgetExceeded, Limited, KeyRefused, ProvidersFailed, PolicyForbids)
}
_BY_KIND: dict[str, type[Refusal]] = {
    "bad_request": InvalidRequest,
    "content_refused": Refused,
    "authentication": KeyRefused,
    "rate_limited": Limited,
    "quota_exhausted": Limited,
    "context_too_long": PromptTooLong,
    "model_not_found": NoModel,
    "timeout": DeadlinePassed,
}
_HINTS: dict[str, str] = {
    "no_model": "call list_models to see what there is, or leave `model` and `require` out",
    "context_too_long": "shorten the prompt, or name a model with a larger window (list_models shows them)",
    "budget_exceeded": "raise max_cost_usd or the budget, lower max_tokens, or use strategy 'cost'",
    "rate_limited": "try again after the time given, or add another provider",
    "authentication": "set or replace the provider's key: plenum keys set PROVIDER, then plenum doctor",
    "provider_failed": "try again, or name another model; plenum doctor shows each provider's state",
    "policy": "ask with a model the policy allows; the receipt says which policy excluded which",
    "content_refused": "rephrase the request; the providers' own filters refused it",
    "invalid_request": "correct the argument the provider rejects; the receipt's attempts say where",
    "timeout": "raise max_latency_s, lower max_tokens, or use strategy 'performance'",
}
_PROXY_WANTS = "put the proxy's user name and password into HTTPS_PROXY or HTTP_PROXY (http://USER:PASSWORD@HOST:PORT)"
_PROXY_BARS = "have the proxy in HTTPS_PROXY let the provider's host through, or put that host into NO_PROXY"
_CUT = "raise max_tokens, or set options.allow_truncated to take what there is"


def refusal(errors: Sequence[ProviderError], stop: Stop, receipt: Receipt, held: Sequence[Exclusion]) -> Refusal:
    """The refusal of an ask whose attempts all failed, or that could make none. Carries the receipt."""
    after = _after(stop, errors, held)
    if errors:
        kind = _kind(errors, stop)
        message = _tried(receipt)
    else:
        kind = _unserved(receipt.excluded, stop)
        message = _nobody(receipt, after)
    return kind(message, hint=_hint(errors, kind), after=after if kind.retryable else None, receipt=receipt)


def _hint(errors: Sequence[ProviderError], kind: type[Refusal]) -> str:
    if errors and errors[-1].kind == "cut_short":
        return _CUT
    if errors and all(isinstance(error, ProxyRefused) for error in errors):
        return _PROXY_WANTS if errors[-1].status == 407 else _PROXY_BARS
    return _HINTS[kind.code]


def _kind(errors: Sequence[ProviderError], stop: Stop) -> type[Refusal]:
    last = errors[-1]
    if stop.why in ("caller", "refused"):
        return _BY_KIND.get(last.kind, ProvidersFailed)
    kinds = {_BY_KIND.get(error.kind, ProvidersFailed) for error in errors}
    if len(kinds) == 1:
        return kinds.pop()
    if last.kind == "content_refused":
        return Refused  # the other family could not be asked, the first one's word stands
    return DeadlinePassed if stop.why == "deadline" else ProvidersFailed


def _unserved(excluded: Sequence[Exclusion], stop: Stop) -> type[Refusal]:
    if not excluded:
        return NoModel
    counted: Callable[[str], int] = Counter(e.code for e in excluded).__getitem__
    for code in ("rate_limited", "provider_failed", "budget_exceeded", "context_too_long", "policy", "authentication"):
        if counted(code):
            return Limited if code == "provider_failed" and stop.why == "wait" else _BY_CODE[code]
    return NoModel


def _tried(receipt: Receipt) -> str:
    told = "; ".join(f"{a.provider}/{a.model}: {a.reason or a.outcome}" for a in receipt.attempts)
    return f"no answer after {len(receipt.attempts)} attempt{'s' * (len(receipt.attempts) != 1)}: {told}"


def _nobody(receipt: Receipt, after: float | None) -> str:
    if not receipt.excluded:
        return "no model is available"
    told = "; ".join(f"{e.deployment.name}: {e.why}" for e in receipt.excluded[:5])
    more = receipt.excluded_count - min(5, len(receipt.excluded))
    soon = f"; the first returns in {after:.0f} s" if after is not None else ""
    return f"nobody may serve this now: {told}{f'; and {more} more' if more else ''}{soon}"


def _after(stop: Stop, errors: Sequence[ProviderError], held: Sequence[Exclusion]) -> float | None:
    waits = [stop.after_s, *(e.after for e in errors), *(e.returns_s for e in held)]
    return min((wait for wait in waits if wait is not None), default=None)
