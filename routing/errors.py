"""Why Plenum gives no answer, with what a caller can do about it. One class per code of the contract's §3."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from .types import Reason, Receipt


@dataclass(frozen=True, slots=True)
class Next:
    """The exact next call that helps: a tool of ours and its arguments."""

    tool: str
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])


class Refusal(Exception):
    """No answer, and why. `message` is plain words; `hint` the next thing to do; `after` seconds until a retry helps."""

    code: ClassVar[str] = "provider_failed"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        after: float | None = None,
        next_call: Next | None = None,
        receipt: Receipt | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.after = after
        self.next_call = next_call
        self.receipt = receipt


class InvalidRequest(Refusal):
    """The arguments make no sense, or the same request_id came with others."""

    code = "invalid_request"


class NoModel(Refusal):
    """No deployment exists, or none of those that exist may serve this ask."""

    code = "no_model"


class NoKeys(NoModel):
    """A provider's key would help: of `provider`, or of any where it is empty."""

    def __init__(self, message: str, *, provider: str = "", hint: str = "", next_call: Next | None = None) -> None:
        super().__init__(message, hint=hint, next_call=next_call)
        self.provider = provider


class PromptTooLong(Refusal):
    """The prompt fits no candidate's window."""

    code = "context_too_long"


class BudgetExceeded(Refusal):
    """A budget or the call's own envelope cannot pay for this. `scope` names it; `need_usd` and `room_usd` say how much.

    `final`: going to a cheaper deployment is not wanted. `may_ask`: the plan wants a person asked (`[budget] at_edge = "ask"`); on a yes, `Purse.allow(id, need_usd)`.
    """

    code = "budget_exceeded"

    def __init__(
        self,
        message: str,
        *,
        scope: str = "",
        need_usd: float | None = None,
        room_usd: float | None = None,
        final: bool = False,
        may_ask: bool = False,
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.scope = scope
        self.need_usd = need_usd
        self.room_usd = room_usd
        self.final = final
        self.may_ask = may_ask


class Limited(Refusal):
    """Every candidate is at its limit, or Plenum itself is full."""

    code = "rate_limited"
    retryable = True


class KeyRefused(Refusal):
    """Every candidate's key is wrong or missing."""

    code = "authentication"


class Refused(Refusal):
    """The providers' content filters said no."""

    code = "content_refused"


class ProvidersFailed(Refusal):
    """All attempts failed."""

    code = "provider_failed"
    retryable = True


class DeadlinePassed(Refusal):
    """The deadline over all attempts ran out."""

    code = "timeout"
    retryable = True


class Cancelled(Refusal):
    """Somebody else cancelled what this call had joined."""

    code = "cancelled"
    retryable = True


class PolicyForbids(Refusal):
    """A policy (region, model allow-list, secrets, images) forbids it."""

    code = "policy"


class HoldsSecrets(PolicyForbids):
    """The prompt holds what looks like a secret. `may_ask`: the policy lets a person decide."""

    def __init__(self, message: str, *, may_ask: bool = False, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.may_ask = may_ask


class Misconfigured(Refusal):
    """The configuration is wrong."""

    code = "configuration"


def told_again(reason: Reason, receipt: Receipt | None = None) -> Refusal:
    """The refusal that was kept as this reason. When a retry helps was true then: it is not told again."""
    return _KINDS.get(reason.code, Refusal)(reason.message, hint=reason.hint, receipt=receipt)


_KINDS: dict[str, type[Refusal]] = {
    kind.code: kind
    for kind in (
        *(InvalidRequest, NoModel, PromptTooLong, BudgetExceeded, Limited, KeyRefused),
        *(Refused, ProvidersFailed, DeadlinePassed, Cancelled, PolicyForbids, Misconfigured),
    )
}
