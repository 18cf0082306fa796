"""What can go wrong when one model is asked, as facts the caller of the call needs.

    ProviderError            again? elsewhere? after how long? whose fault? may it have been billed?
    ├── ConnectFailed        never reached it            (again, elsewhere, not billed)
    │   └── ProxyRefused     407, CONNECT refused        (elsewhere: the operator's proxy)
    ├── TimedOut             reached, then silence       (elsewhere, billed unknown)
    ├── Unavailable          5xx, 529, 408, 409          (again, elsewhere, not billed)
    ├── Malformed            an answer that is none      (elsewhere, billed unknown)
    ├── Truncated            ended without saying why    (elsewhere, billed yes)
    ├── RateLimited          429                         (elsewhere, `after`)
    ├── QuotaExhausted       402, insufficient_quota     (elsewhere, long `after`)
    ├── AuthenticationFailed 401, 403, bad key as 400    (elsewhere, key is dead)
    ├── ModelNotFound        404 and its disguises       (elsewhere)
    ├── ContextTooLong       the prompt does not fit     (elsewhere: a larger window)
    ├── ContentRefused       the provider's filter       (elsewhere: once, another family)
    └── BadRequest           400, 413, 422               (nowhere: the caller's fault)
        └── NotHere          a feature it does not have  (elsewhere)

Messages are ours: no provider text, no URL, no key, ever (guide reliability-and-security §8.2).
"""

from typing import ClassVar, Literal

Fault = Literal["provider", "credential", "caller", "limit", "local"]
Billed = Literal["unsent", "no", "unknown", "yes"]  # unsent: nobody was asked at all
Vote = Literal["failure", "neutral"]


class ProviderError(Exception):
    """A failed call to one model.

    `after` is seconds until it makes sense to try again here; `model_only` says the fault is the model's, not the
    endpoint's; `code` is the provider's own machine-readable code, reduced to [a-z0-9_.-] and 64 characters.
    """

    kind: ClassVar[str] = "provider_error"
    again: ClassVar[bool] = False
    elsewhere: ClassVar[bool] = True
    fault: ClassVar[Fault] = "provider"
    vote: ClassVar[Vote] = "failure"
    default_billed: ClassVar[Billed] = "unknown"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str = "",
        after: float | None = None,
        billed: Billed | None = None,
        model_only: bool = False,
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = "".join(c for c in code.lower() if c.isalnum() or c in "_.-")[:64]
        self.after = after
        self.billed: Billed = billed if billed is not None else self.default_billed
        self.model_only = model_only
        self.request_id = request_id


class ConnectFailed(ProviderError):
    """Refused, DNS, TLS: the request never left."""

    kind = "connect_failed"
    again = True
    default_billed = "no"


class ProxyRefused(ConnectFailed):
    """A proxy on the way did not let it through: the operator's to mend. Others may be reached another way."""

    again = False

    def __init__(self, status: int) -> None:
        what = "wants a user name and password" if status == 407 else "refuses to connect to it"
        super().__init__(f"The proxy on the way to the provider {what} (status {status}).", status=status)


class TimedOut(ProviderError):
    """It was reached, then a deadline on connect, first token, silence between contents or the whole ran out."""

    kind = "timeout"


class Unavailable(ProviderError):
    """The provider says it cannot now: 5xx, 529, 408, 409, 425, overloaded in a stream."""

    kind = "unavailable"
    again = True
    default_billed = "no"


class Malformed(ProviderError):
    """What came is not an answer: HTML, broken JSON, wrong types, too large, a redirect, an unasked encoding."""

    kind = "malformed"


class Truncated(ProviderError):
    """The answer ended without a finish reason, or its connection broke in the middle."""

    kind = "truncated"
    default_billed = "yes"


class RateLimited(ProviderError):
    """429: a limit of this credential. Neutral to the breaker; `after` is clamped to 0..3600 s."""

    kind = "rate_limited"
    again = True
    fault = "limit"
    vote = "neutral"
    default_billed = "no"


class QuotaExhausted(ProviderError):
    """No money or no daily quota left at the provider."""

    kind = "quota_exhausted"
    fault = "limit"
    vote = "neutral"
    default_billed = "no"


class AuthenticationFailed(ProviderError):
    """The key is wrong, revoked or may not do this."""

    kind = "authentication"
    fault = "credential"
    vote = "neutral"
    default_billed = "no"


class ModelNotFound(ProviderError):
    """The provider does not have this model (any more)."""

    kind = "model_not_found"
    vote = "neutral"
    default_billed = "no"


class ContextTooLong(ProviderError):
    """The prompt does not fit this model's window; a larger one may take it."""

    kind = "context_too_long"
    fault = "caller"
    vote = "neutral"
    default_billed = "no"


class ContentRefused(ProviderError):
    """The provider's own filter or refusal signal said no."""

    kind = "content_refused"
    fault = "caller"
    vote = "neutral"
    default_billed = "unknown"


class BadRequest(ProviderError):
    """The request itself is wrong for this provider; trying it elsewhere is not worth it."""

    kind = "bad_request"
    elsewhere = False
    fault = "caller"
    vote = "neutral"
    default_billed = "no"


class NotHere(BadRequest):
    """A feature this provider or model does not have; another one may."""

    elsewhere = True
