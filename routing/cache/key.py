"""What makes two asks the same question: one digest over everything that can change the answer. Pure.

The context's text is in the messages by the time a key is made. The envelope (money, time) is not part of the question.
"""

import json
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Any

from providers.types import Image, Message, Part, Reasoning, Request, Text, ToolCall, ToolResult

from ..types import Ask, Resolution, Result

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
COMPLETE = frozenset({"stop", "tool_calls"})


@dataclass(frozen=True, slots=True)
class Key:
    """`exact` names the question; `scope` all of it but the `words` of its last turn, for who compares by meaning.

    `words` is empty where there is more to the last turn than text. Both digests hold the caller.
    """

    exact: str
    scope: str
    words: str


def cacheable(ask: Ask) -> bool:
    """Contract §3: unset temperature is cacheable, above zero only by choice; `off` is off."""
    if ask.cache == "off":
        return False
    return not ask.request.temperature or ask.cache is not None


def worth_keeping(result: Result) -> bool:
    """Only complete answers: those that were cut, refused, or ended for another reason are not given again."""
    answer = result.answer
    return answer.finish_reason in COMPLETE and answer.refusal is None and bool(answer.text or answer.tool_calls)


def served_by_itself(result: Result, resolution: Resolution) -> bool:
    """Whether who answered is what the name stands for now: no stand-in of an outage, nobody who has left."""
    own = resolution.steps[0] if resolution.steps else ()
    name = f"{result.receipt.provider}/{result.receipt.model}"
    if any(d.name == name for d in own):
        return True
    groups = {d.group for d in own if d.group}
    return any(d.name == name and d.group in groups for step in resolution.steps[1:] for d in step)


def key_of(ask: Ask, resolution: Resolution, sample: int = 0) -> Key | None:
    """The key; None for what cannot be written down. `sample` tells apart asks of one panel that shall differ."""
    request = ask.request
    last = request.messages[-1] if request.messages else None
    words = _words(last)
    try:
        rest = _encode([_who(ask, resolution), _how(request), [_turn(turn) for turn in request.messages[:-1]], sample])
        exact = _encode(_turn(last)) if last else ""
    except (ValueError, TypeError, RecursionError):  # a schema that holds itself, or what JSON has no word for
        return None
    scope = sha256(rest.encode()).digest()
    return Key(sha256(scope + exact.encode()).hexdigest(), scope.hex(), words)


def _words(last: Message | None) -> str:
    if last is None or last.role != "user" or not all(isinstance(part, Text) for part in last.parts):
        return ""
    return last.text


def _who(ask: Ask, resolution: Resolution) -> list[Any]:
    """Whose question it is, and who may answer it. Aliases are resolved; who of several answers does not matter."""
    strategy = ask.strategy or resolution.strategy
    may = sorted(ask.require), ask.min_quality, sorted(ask.exclude_families), ask.allowed_models, ask.local_only
    return [ask.caller, resolution.name, resolution.auto, strategy, resolution.kind, resolution.effort, *may]


def _how(request: Request) -> list[Any]:
    tools = [(tool.name, tool.description, tool.parameters) for tool in request.tools]
    sampling = request.temperature, request.top_p, request.seed, request.frequency_penalty, request.presence_penalty
    output = request.max_tokens, request.stop, request.schema, request.reasoning
    return [request.system, *sampling, *output, tools, request.tool_choice, request.parallel_tools]


def _turn(turn: Message) -> list[Any]:
    return [turn.role, [_part(part) for part in turn.parts]]


def _part(part: Part) -> list[Any]:
    match part:
        case Text(text=text):
            return ["t", text]
        case Image(media_type=kind, data=data, url=url):
            return ["i", kind, url, blake2b(data).hexdigest() if data is not None else None]
        case ToolCall(id=id, name=name, arguments=arguments, signature=signature):
            return ["c", id, name, arguments, signature]
        case ToolResult(id=id, text=text, name=name, is_error=wrong):
            return ["r", id, text, name, wrong]
        case Reasoning(text=text, signature=signature, redacted=redacted):
            return ["m", text, signature, redacted]
