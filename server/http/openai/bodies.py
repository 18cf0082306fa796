"""What OpenAI's bodies share: exact types, nulls as absence, our own extension, and errors that name the field.

A parameter Plenum cannot honour and that would change the answer is refused; one it merely has no use for is passed over.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from providers.types import Capability, Request
from routing.errors import InvalidRequest
from routing.types import Ask, CacheMode
from server.complaints import complaints

M = TypeVar("M", bound=BaseModel)


class BadField(InvalidRequest):
    """One field of the body is wrong; `param` is its path."""

    def __init__(self, param: str, message: str, hint: str = "Correct it, or leave it out.") -> None:
        super().__init__(message, hint=hint)
        self.param = param


class Piece(BaseModel):
    """A part of a body. Unknown fields are somebody's extension: passed over."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True, allow_inf_nan=False)


class Named(Piece):
    """Something with a name: a function, a schema."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class Function(Named):
    """A function the model may call."""

    description: str | None = None
    parameters: dict[str, Any] | None = None


class Extension(BaseModel):
    """`plenum` in a body (`extra_body={"plenum": {…}}` in the official client): what OpenAI has no words for."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True, allow_inf_nan=False)

    strategy: Annotated[str, Field(max_length=64)] | None = None
    task: Annotated[str, Field(max_length=64)] | None = None
    require: Annotated[tuple[Capability, ...], Field(max_length=8, strict=False)] = ()
    min_quality: Annotated[float, Field(ge=0, le=1)] | None = None
    max_cost_usd: Annotated[float, Field(ge=0)] | None = None
    max_latency_s: Annotated[float, Field(gt=0, le=86_400)] | None = None
    context: Annotated[tuple[str, ...], Field(max_length=32, strict=False)] = ("auto",)
    conversation: Annotated[str, Field(max_length=128)] | None = None
    request_id: Annotated[str, Field(max_length=128)] | None = None
    cache: CacheMode | None = None
    hedge: bool = False
    allow_truncated: bool = True  # OpenAI's clients expect `finish_reason = "length"`, not an error
    receipt: bool = False  # the whole receipt in the answer, not its id alone


PLAIN = Extension()


class Body(BaseModel):
    """What all bodies have in common. What is unknown is kept, so that it can be judged by name."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True, allow_inf_nan=False)

    model: Annotated[str, Field(max_length=200)] = "auto"
    stream: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    parallel_tool_calls: bool | None = None
    prompt_cache_key: Annotated[str, Field(max_length=512)] | None = None
    plenum: Annotated[Extension, Field(default_factory=lambda: PLAIN)]  # shared: pydantic would copy a default deeply


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a body. `repeat` is its Idempotency-Key."""

    name: str
    repeat: str | None = None


def parsed(model: type[M], raw: bytes) -> M:
    """The body as `model`. Raises BadField; no value of the body is told back."""
    try:
        return model.model_validate_json(raw)
    except ValidationError as fault:
        found = complaints(fault, model, _json(raw))
        told = "; ".join(f"`{place}` {what}" if place else what for place, what in found)
        raise BadField(found[0][0], f"Invalid body: {told}.", "Correct what is named and send it again.") from None


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def refuse(body: BaseModel, unsupported: Mapping[str, tuple[Any, ...]]) -> None:
    """Raise BadField for a parameter that would change the answer and cannot be honoured; the values given are harmless."""
    extra = body.model_extra or {}
    for name, harmless in unsupported.items():
        value = extra.get(name)
        if value is not None and value not in harmless:
            raise BadField(name, f"`{name}` is not supported here.", "Leave it out.")


def ask(body: Body, request: Request, caller: Caller, conversation: str | None = None) -> Ask:
    """The ask of a body whose request has been translated."""
    own = body.plenum
    number = f"g_{secrets.token_urlsafe(12)}"
    repeat = own.request_id or caller.repeat
    # Two equal requests at a temperature are two samples; without one they are one question (contract §3).
    sampled = (request.temperature or 0) > 0 and repeat is None
    said: dict[str, Any] = {
        "request": request,
        "model": body.model or "auto",
        "strategy": own.strategy,
        "task": own.task,
        "min_quality": own.min_quality,
        "max_cost_usd": own.max_cost_usd,
        "max_latency_s": own.max_latency_s,
        "conversation": conversation or own.conversation,
        "cache": own.cache,
        "hedge": own.hedge,
        "allow_truncated": own.allow_truncated,
        "sources": own.context,
    }
    return Ask(
        **said,
        require=frozenset(own.require),
        caller=caller.name,
        request_id=repeat,
        id=number,
        key=number if sampled else _digest(said, sorted(own.require)),
    )


def _digest(*said: Any) -> str:
    """What was asked, before anything is taken out of it or put in: a repetition is one of the caller's own words."""
    return sha256(repr(said).encode(errors="replace")).hexdigest()
