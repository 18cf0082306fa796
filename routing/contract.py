"""Is this an answer? Pure: an `Answer` and what was asked of it in, nothing or an error out (contract §3, issue 3).

A failed contract is a failed attempt: the errors are `ProviderError`s, so the itinerary needs no second language.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

from providers.errors import ContentRefused, ContextTooLong, Malformed, ProviderError, Truncated, Unavailable
from providers.types import Answer, Message, Request, Text

from .errors import InvalidRequest


class EmptyAnswer(Malformed):
    """It ended well and holds neither text nor tool calls."""

    kind = "empty"
    default_billed = "yes"


class CutShort(Truncated):
    """It ran into a limit that was not the caller's own."""

    kind = "cut_short"
    vote = "neutral"


class WrongSchema(Malformed):
    """It is not the JSON that was asked for; the same model may repair it once."""

    kind = "wrong_schema"
    vote = "neutral"
    default_billed = "yes"


class BrokenArguments(Malformed):
    """A tool call whose arguments are not JSON."""

    kind = "bad_arguments"
    vote = "neutral"
    default_billed = "yes"


class Validator(Protocol):
    """The part of a jsonschema validator that is used."""

    def iter_errors(self, instance: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Terms:
    """What an ask demands of its answer. `own_limit`: `max_tokens` was the caller's, so a cut is an answer."""

    own_limit: bool = False
    allow_truncated: bool = False
    validator: Validator | None = None


def terms(request: Request, *, allow_truncated: bool = False) -> Terms:
    """The terms of this request. Raises InvalidRequest where `schema` is no JSON Schema."""
    validator = _compile(request.schema) if request.schema is not None else None
    return Terms(request.max_tokens is not None, allow_truncated, validator)


def check(answer: Answer, terms: Terms) -> ProviderError | None:
    """What keeps this from being an answer; None if nothing does."""
    return _ending(answer, terms) or _content(answer, terms)


def was_cut(answer: Answer) -> bool:
    """Whether an accepted answer ends at a limit: worth a warning."""
    return answer.finish_reason in ("length", "context_length")


def value_of(text: str) -> Any:
    """The JSON value an answer holds: the whole text, or the one fenced block of it. Raises ValueError."""
    stripped = text.strip()
    if stripped.startswith("```") and stripped.endswith("```") and len(stripped) > 6:
        stripped = stripped[3:-3].partition("\n")[2] or stripped[3:-3]
    return json.loads(stripped, parse_constant=_no_constant)


def repair(request: Request, answer: Answer, error: ProviderError) -> Request:
    """The same request with the failed answer and what was wrong about it, for the same model."""
    wish = f"{error.message} Answer again with nothing but JSON that is valid against the schema."
    turns = (Message("assistant", (Text(answer.text or "(no text)"),)), Message("user", (Text(wish),)))
    return replace(request, messages=request.messages + turns)


def _ending(answer: Answer, terms: Terms) -> ProviderError | None:
    if answer.refusal is not None or answer.finish_reason == "content_filter":
        return ContentRefused("the model refused to answer", model_only=True)
    match answer.finish_reason:
        case None | "paused":
            return Truncated("the answer ended without saying why")
        case "error":
            return Unavailable("the provider reported an error at the end of its answer", billed="unknown")
        case "length" if not (terms.own_limit or terms.allow_truncated):
            return CutShort("the answer was cut at the model's output limit", model_only=True)
        case "context_length" if not terms.allow_truncated:
            return ContextTooLong("the model's window was full before the answer ended", billed="yes")
        case _:
            return None


def _content(answer: Answer, terms: Terms) -> ProviderError | None:
    if not answer.text.strip() and not answer.tool_calls:
        return EmptyAnswer("the answer is empty", model_only=True)
    if any(not _is_json(call.arguments) for call in answer.tool_calls):
        return BrokenArguments("a tool call's arguments are not JSON", model_only=True)
    if terms.validator is None or answer.tool_calls:
        return None
    return _against(terms.validator, answer.text)


def _against(validator: Validator, text: str) -> ProviderError | None:
    try:
        value = value_of(text)
    except (ValueError, RecursionError):
        return WrongSchema("The answer is not JSON.", model_only=True)
    error = next(iter(validator.iter_errors(value)), None)
    if error is None:
        return None
    return WrongSchema(f"The answer breaks the schema at {error.json_path} (rule: {error.validator}).", model_only=True)


def _compile(schema: Mapping[str, Any]) -> Validator:
    from jsonschema import SchemaError, validators
    from referencing import Registry

    kind = validators.validator_for(cast("Any", schema), default=validators.Draft202012Validator)
    try:
        kind.check_schema(cast("Any", schema))
    except SchemaError as error:
        where = f"schema is no valid JSON Schema at {error.json_path}"
        raise InvalidRequest(where, hint="correct `schema` or leave it out") from None
    if not _is_closed(schema):
        raise InvalidRequest("schema refers to another document", hint="put what `$ref` names under `$defs`")
    return cast(
        "Validator", kind(cast("Any", schema), registry=Registry())
    )  # an empty registry: no reference is ever fetched


def _is_closed(schema: Any) -> bool:
    if isinstance(schema, Mapping):
        node = cast("Mapping[str, Any]", schema)
        reference = node.get("$ref", node.get("$dynamicRef", "#"))
        return (not isinstance(reference, str) or reference.startswith("#")) and all(map(_is_closed, node.values()))
    return all(map(_is_closed, cast("list[Any]", schema))) if isinstance(schema, list) else True


def _is_json(text: str) -> bool:
    try:
        json.loads(text or "{}")
    except (ValueError, RecursionError):
        return False
    return True


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
