"""What every dialect asks before it writes a request: which wishes this model grants, and in which shape."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from ..errors import Malformed
from ..types import Effort, Image, Message, ModelCard, Request, Text, ToolCall, ToolResult
from ._json import mapping, read_json

EFFORTS: tuple[Effort, ...] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
# Share of the output limit that an effort buys where thinking is a token budget, at least 1,024 (Anthropic's minimum).
_BUDGET_SHARE = {"minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.9, "max": 0.95}
LEAST_BUDGET = 1024
# OpenAI's strict mode knows no more than this of JSON Schema beyond types, enums and properties.
_NOT_STRICT = frozenset({"patternProperties", "oneOf", "allOf", "not", "if", "dependentSchemas", "prefixItems"})

Wish = Literal["temperature", "top_p", "seed", "frequency_penalty", "presence_penalty", "stop"]
SAMPLING: tuple[Wish, ...] = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
WISHES: tuple[Wish, ...] = (*SAMPLING, "seed", "stop")


@dataclass(frozen=True, slots=True)
class Granted:
    """A request's wishes as far as the model takes them. What it refuses is absent here and named in `warnings`."""

    values: dict[str, Any]
    effort: Effort | None
    tool_choice: str
    warnings: list[str]


def grant(request: Request, card: ModelCard, lacks: Iterable[Wish] = ()) -> Granted:
    """Decide what to send to `card`. `lacks` names what the wire format itself has no word for."""
    warnings: list[str] = []
    effort = _effort(request.reasoning, card, warnings)
    wishes = {name: value for name in WISHES if (value := getattr(request, name)) is not None and value != ()}
    refused = {*lacks, *_refused(request, card, effort)} if wishes else ()
    warnings += [f"{name} was not sent: {card.id} does not take it" for name in wishes if name in refused]
    values = {name: value for name, value in wishes.items() if name not in refused}
    choice = request.tool_choice if request.tools else "auto"
    if choice not in ("auto", "none") and _unforceable(card.flags):
        warnings.append(f"tool_choice {choice!r} was not sent: {card.id} cannot be forced to call a tool")
        choice = "auto"
    return Granted(values, effort, choice, warnings)


def _unforceable(flags: frozenset[str]) -> bool:
    """DeepSeek can be forced as soon as it does not think, and `thinking_type` can see to that."""
    return "no_tool_choice" in flags or ("no_forced_tool" in flags and "thinking_type" not in flags)


def _refused(request: Request, card: ModelCard, effort: Effort | None) -> set[Wish]:
    flags, refused = card.flags, set[Wish]()
    if "no_stop" in flags:
        refused.add("stop")
    if "no_seed" in flags:
        refused.add("seed")
    if "no_penalties" in flags:
        refused |= {"frequency_penalty", "presence_penalty"}
    if "one_sampler" in flags and request.temperature is not None:
        refused.add("top_p")
    off = effort == "none" or (effort is None and "effort_default_none" in flags)
    if "sampling" not in card.capabilities and not (off and "sampling_at_none" in flags):
        refused |= set(SAMPLING)
    return refused


def _effort(wanted: Effort | None, card: ModelCard, warnings: list[str]) -> Effort | None:
    """The nearest effort the model takes, the lower of two; None where there is nothing to send."""
    if wanted is None or ("budget_thinking" in card.flags and (wanted != "none" or not card.efforts)):
        return wanted
    if not card.efforts:
        if wanted != "none":
            warnings.append(f"reasoning effort was not sent: {card.id} takes none")
        return None
    rank = EFFORTS.index(wanted)
    awake: list[Effort] = [effort for effort in card.efforts if effort != "none" or wanted == "none"]
    awake = awake or list(card.efforts)
    nearest: Effort = min(awake, key=lambda effort: (abs(EFFORTS.index(effort) - rank), EFFORTS.index(effort)))
    if nearest != wanted:
        warnings.append(f"reasoning effort {wanted!r} became {nearest!r}: {card.id} takes {', '.join(card.efforts)}")
    return nearest


def budget(effort: Effort, most: int) -> int:
    """Thinking tokens this effort buys out of `most` output tokens."""
    return max(LEAST_BUDGET, int(most * _BUDGET_SHARE.get(effort, 0.0)))


def system_text(request: Request) -> str:
    """The instructions: `system` and every system turn, in order."""
    turns = (message.text for message in request.messages if message.role == "system")
    return "\n\n".join(text for text in (request.system, *turns) if text)


def schema_words(schema: Mapping[str, Any]) -> str:
    """The instruction for a model that cannot be held to a schema by its provider."""
    return (
        "Answer with one JSON value that is valid against this JSON Schema, and with nothing else: no prose, "
        f"no code fence.\n{json.dumps(schema, ensure_ascii=False)}"
    )


def with_words(system: str, schema: Mapping[str, Any] | None) -> str:
    """The instructions followed by the schema's, where there is one."""
    return "\n\n".join(text for text in (system, schema_words(schema) if schema is not None else "") if text)


def is_object(schema: Mapping[str, Any]) -> bool:
    """Whether a schema describes an object at its root: the only kind strict modes take."""
    return schema.get("type") == "object"


def tighten(schema: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """The schema in OpenAI's strict form and True, or as it was and False.

    Closing objects and requiring every property only narrows what is valid, so the answer still fits the original.
    Recursive schemas are left alone: requiring an optional child of the same kind would have no end.
    """
    text = json.dumps(schema)
    copy = mapping(json.loads(text))
    strict = is_object(copy) and '"$ref"' not in text and all(_tighten(node) for node in _nodes(copy))
    return (copy, True) if strict else (schema, False)


def _tighten(node: dict[str, Any]) -> bool:
    if _NOT_STRICT & node.keys():
        return False
    if node.get("type") == "object" or "properties" in node:
        if node.setdefault("additionalProperties", False) is not False:
            return False
        node["required"] = list(mapping(node.get("properties")))
    return True


def _nodes(root: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Every schema inside a schema, the root first."""
    waiting: list[Any] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += cast("list[Any]", node)
        elif isinstance(node, dict):
            schema = cast("dict[str, Any]", node)
            yield schema
            waiting += [schema.get(name) for name in (*_NOT_STRICT, "items", "anyOf", "additionalProperties")]
            for name in ("properties", "$defs", "definitions"):
                waiting += mapping(schema.get(name)).values()


def data_url(image: Image) -> str:
    """Where a picture is: its own URL, or its bytes as one."""
    return image.url or f"data:{image.media_type};base64,{base64_of(image)}"


def base64_of(image: Image) -> str:
    """The bytes of a picture as base64 text."""
    return base64.b64encode(image.data or b"").decode()


def text_of(message: Message) -> str:
    """The plain text of a turn, paragraphs apart where it came in several parts."""
    return "\n\n".join(part.text for part in message.parts if isinstance(part, Text))


def arguments_of(call: ToolCall) -> dict[str, Any]:
    """A call's arguments as the object some wires want; {} where a model wrote none or broken ones."""
    try:
        return mapping(read_json(call.arguments.encode("utf-8", "replace")))
    except Malformed:
        return {}


def names_of_calls(messages: Iterable[Message]) -> dict[str, str]:
    """Tool names by call id: Gemini wants the name on the result, callers know only the id."""
    return {part.id: part.name for message in messages for part in message.parts if isinstance(part, ToolCall)}


def results(message: Message) -> list[ToolResult]:
    """The tool results of a turn."""
    return [part for part in message.parts if isinstance(part, ToolResult)]


def short_id(call_id: str) -> str:
    """Nine letters and digits for any call id, always the same ones (Mistral refuses others)."""
    if re.fullmatch(r"[A-Za-z0-9]{9}", call_id):
        return call_id
    return hashlib.sha256(call_id.encode("utf-8", "replace")).hexdigest()[:9]


def safe_id(call_id: str) -> str:
    """A call id of another provider in the letters Anthropic takes."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", call_id)[:64] or "call"
