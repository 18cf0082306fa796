"""What a provider's complaint means: status, machine-readable code and signatures in the text, to one ProviderError.

The provider's words are looked at and never passed on. Dialects say where in their bodies these things stand.
Signatures: recorded exchanges and guide providers §2; `litellm_core_utils/exception_mapping_utils.py` knows the rest.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from ..errors import (
    AuthenticationFailed,
    BadRequest,
    Billed,
    ContentRefused,
    ContextTooLong,
    Malformed,
    ModelNotFound,
    NotHere,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Unavailable,
)
from ._json import items, mapping, read_json, string

LONGEST_WAIT = 3600.0
_REQUEST_IDS = ("x-request-id", "request-id", "apim-request-id", "x-amzn-requestid", "cf-ray")

_CONTEXT = re.compile(
    r"context_length|context_window_exceeded|too_many_prompt_tokens|too_many_tokens|prompt is too long"
    r"|prompt too long|maximum context length|model's maximum context limit|exceed context limit"
    r"|exceeds the maximum number of tokens|input tokens? exceeded|input tokens exceed|exceeds? (?:the )?available context"
    r"|longer than the model's context length|input is too long|maximum input length is|input too long"
    r"|exceed model maximum|exceeds the context window|input token count.{0,40}exceeds the maximum"
)
_KEY = re.compile(
    r"invalid_api_key|api_key_invalid|authentication_error|incorrect api key|invalid api key|api key not valid"
    r"|invalid x-api-key|security token|unauthenticated|permission_denied|permission_error|api key expired"
)
_QUOTA = re.compile(
    r"insufficient_quota|credit_balance_exhausted|enforced_spend_limit|billing_error|billing_hard_limit|spend limit"
    r"|credit balance is too low|insufficient balance|insufficient credits|api usage limits|perday|quota_exceeded"
)
_MODEL = re.compile(
    r"model_not_found|deploymentnotfound|model identifier is invalid|model_decommissioned|unknown_model|invalid_model"
    r"|model .{0,200}(?:does not exist|not found|was removed)"
)
_CONTENT = re.compile(
    r"content_filter|content_policy|responsibleaipolicy|content violates|safety_check|flagged|moderation_blocked"
)
_RATE = re.compile(r"rate_?limit|slow_down|resource_exhausted|too_many_requests|throttl")
_CANNOT = re.compile(r"tool_use_failed|unsupported|not supported|does not support|not_supported")
_PAUSE = re.compile(r"overloaded|server_error|api_error|timeout|unavailable|capacity|internal|server_is_overloaded")
_TRANSIENT = frozenset({408, 409, 424, 425, 499, 529})


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a provider says went wrong. `words` are its codes and types, `text` its prose; both are only looked at."""

    status: int
    words: tuple[str, ...] = ()
    text: str = ""
    after: float | None = None
    request_id: str = ""
    in_band: bool = False  # inside an answer that began as a success
    billed: Billed | None = None


def complaint(status: int, headers: Mapping[str, str], body: bytes) -> Complaint:
    """Read the shapes OpenAI, Anthropic, Cohere, Mistral, xAI and Ollama answer errors in."""
    try:
        value = read_json(body)
    except Malformed:
        value = None
    words, text = _words_and_text(mapping(next(iter(items(value)), value)))
    request_id = next((headers[name] for name in _REQUEST_IDS if headers.get(name)), "")
    return Complaint(status, words, text, retry_after(headers), request_id)


def in_band(body: Mapping[str, Any], *, billed: Billed) -> Complaint:
    """Read an error that came inside a 200, in the same shapes."""
    words, text = _words_and_text(body)
    status = next((int(word) for word in words if word.isdecimal() and len(word) == 3), 200)
    return Complaint(status, words, text, in_band=True, billed=billed)


def _words_and_text(body: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    error = body.get("error")
    inner = mapping(error)
    details = mapping(inner.get("details"))
    found = [
        *(inner.get(name) for name in ("code", "type", "status", "reason")),
        details.get("error_code"),
        *(body.get(name) for name in ("code", "error_type", "type")),
    ]
    words = tuple(
        str(word)[:100].lower() for word in found if isinstance(word, str | int) and word not in ("", "error")
    )
    prose = [error, inner.get("message"), body.get("message"), body.get("detail")]
    return words, " ".join(string(piece)[:2000] for piece in prose).strip().lower()


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait as the headers say, at most 3600; None if they do not say or make no sense.

    A date is measured against the answer's own `date`, so no clock is needed. Azure sends `retry-after-ms: 0` beside a
    true `retry-after`: only a value above zero counts.
    """
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        seconds = _seconds(headers.get(name, ""), headers.get("date", ""))
        if seconds is not None and (wait := clamp_wait(seconds * scale)) is not None:
            return wait
    return None


def clamp_wait(seconds: float) -> float | None:
    """The wait if it is one: finite, above zero, at most an hour."""
    return min(seconds, LONGEST_WAIT) if math.isfinite(seconds) and seconds > 0 else None


def _seconds(value: str, date: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        pass
    try:
        return (parsedate_to_datetime(value) - parsedate_to_datetime(date)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None


def classify(found: Complaint) -> ProviderError:
    """The error this complaint is. Money and credentials in rate-limit clothes are recognised before the status."""
    signature = " ".join((*found.words, found.text))
    kind = _by_signature(found.status, signature) or _by_status(found.status, signature)
    if found.in_band and issubclass(kind, BadRequest):
        kind = Unavailable  # it took the request and failed at it: that is not the caller's fault
    message = f"{_SAYS[kind]} (status {found.status}{', inside the answer' if found.in_band else ''})."
    return kind(
        message,
        status=found.status,
        code=found.words[0] if found.words else "",
        after=found.after,
        billed=found.billed if kind is Unavailable or found.in_band else None,
        model_only=kind is ModelNotFound or "permodel" in signature or "capacity" in signature,
        request_id=found.request_id[:200],
    )


def _by_signature(status: int, signature: str) -> type[ProviderError] | None:
    if _CONTEXT.search(signature) or (status == 413 and _RATE.search(signature)):
        return ContextTooLong  # Groq: 413 with a rate-limit code is a prompt above the per-minute tokens
    if status == 498:  # Cohere's invalid token, Groq's capacity
        return Unavailable if "capacity" in signature else AuthenticationFailed
    if status == 402 or (status in (200, 400, 403, 429) and _QUOTA.search(signature)):
        return QuotaExhausted
    if status in (200, 400, 403, 422) and _CONTENT.search(signature):
        return ContentRefused
    if status == 401 or (status in (200, 400, 403) and _is_key(signature)):
        return AuthenticationFailed
    if status in (200, 400, 403) and _MODEL.search(signature):
        return ModelNotFound
    return None


def _is_key(signature: str) -> bool:
    return bool(_KEY.search(signature)) or ("invalid-argument" in signature and "api key" in signature)  # xAI


def _by_status(status: int, signature: str) -> type[ProviderError]:
    if status in (404, 410):
        return ModelNotFound
    if status == 403:
        return AuthenticationFailed
    if status == 429:
        return RateLimited
    if status in _TRANSIENT or status >= 500:
        return Unavailable
    if 300 <= status < 400:
        return Malformed
    if status < 300:
        return RateLimited if _RATE.search(signature) and not _PAUSE.search(signature) else Unavailable
    return NotHere if _CANNOT.search(signature) else BadRequest


_SAYS: dict[type[ProviderError], str] = {
    ContextTooLong: "The prompt does not fit the model's context window",
    AuthenticationFailed: "The provider refused the key",
    QuotaExhausted: "The provider says its credit or daily quota is used up",
    ContentRefused: "The provider's content filter refused the request",
    ModelNotFound: "The provider does not have this model",
    RateLimited: "The provider's rate limit is reached",
    Unavailable: "The provider cannot answer now",
    Malformed: "The provider answered with something that is not an answer",
    NotHere: "The provider or model does not support something in the request",
    BadRequest: "The provider refused the request as invalid",
}
