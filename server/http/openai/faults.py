"""Refusals in OpenAI's form: the status, type and code its clients act on, and when to try again.

Statuses are chosen by what the official client does with them: it repeats 408, 409, 429 and 5xx by itself, unless
`x-should-retry` says no (openai 3.52 `_base_client.py`).
"""

import math
from dataclasses import dataclass
from typing import Any

from routing.errors import Refusal
from server.tools import results


@dataclass(frozen=True, slots=True)
class Kind:
    """How one of our codes is said. An empty `code` keeps ours."""

    status: int
    type: str
    code: str = ""


_KINDS = {
    "invalid_request": Kind(400, "invalid_request_error"),
    "no_model": Kind(404, "invalid_request_error", "model_not_found"),
    "context_too_long": Kind(400, "invalid_request_error", "context_length_exceeded"),
    "budget_exceeded": Kind(429, "insufficient_quota", "insufficient_quota"),
    "rate_limited": Kind(429, "rate_limit_error", "rate_limit_exceeded"),
    "authentication": Kind(502, "server_error", "provider_authentication"),  # ours is the key, so no 401
    "content_refused": Kind(400, "invalid_request_error", "content_filter"),
    "provider_failed": Kind(502, "server_error"),
    "timeout": Kind(504, "server_error"),
    "cancelled": Kind(503, "server_error"),
    "policy": Kind(403, "permission_error"),
    "configuration": Kind(503, "server_error"),
}
_UNEXPECTED = Kind(500, "server_error", "internal_error")


class Forbidden(Refusal):
    """The token may not do this."""

    code = "policy"


@dataclass(frozen=True, slots=True)
class Fault:
    """An answer that is none: status, body and headers."""

    status: int
    body: dict[str, Any]
    headers: tuple[tuple[bytes, bytes], ...]


def fault(error: Exception) -> Fault:
    """What a client is told of any exception. What was not foreseen is logged by type and place only."""
    known = isinstance(error, Refusal)
    refusal = results.as_refusal(error)
    kind = _KINDS.get(refusal.code, _UNEXPECTED) if known else _UNEXPECTED
    return Fault(kind.status, {"error": _said(refusal, kind)}, tuple(_headers(refusal, kind)))


def _said(refusal: Refusal, kind: Kind) -> dict[str, Any]:
    facts = results.facts(refusal)
    own = {"code": facts["code"], "retryable": facts["retryable"], "retry_after_s": facts["retry_after_s"]}
    return {
        "message": results.sentences(refusal.message, refusal.hint),
        "type": kind.type,
        "param": getattr(refusal, "param", None),
        "code": kind.code or refusal.code,
        "plenum": {**own, "id": refusal.receipt.id if refusal.receipt else None},
    }


def _headers(refusal: Refusal, kind: Kind) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    if refusal.receipt is not None and refusal.receipt.id:
        found.append((b"x-plenum-receipt", refusal.receipt.id.encode("ascii", "replace")))
    if refusal.after is not None and kind.status >= 429:
        found.append((b"retry-after", str(max(1, math.ceil(refusal.after))).encode()))
    if kind.status >= 429 and not refusal.retryable:
        found.append((b"x-should-retry", b"false"))
    return found
