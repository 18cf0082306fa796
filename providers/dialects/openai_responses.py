"""OpenAI's `POST /responses`, also spoken by xAI, DeepSeek, Azure, OpenRouter and local engines.

Nothing is stored at the provider (`store: false`); encrypted reasoning travels with the conversation instead.
Sources: openai SDK 3.52 `types/responses`, recorded exchanges, guide providers §3. There is no `[DONE]` at OpenAI.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..errors import Malformed
from ..types import (
    Answer,
    Delta,
    Image,
    Message,
    ModelCard,
    Part,
    Reasoning,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
)
from . import Call, _openai
from ._draft import NOTHING, CallDraft, TypedFold, sign, signed, usage
from ._json import count, mapping, objects, scrub, string
from ._write import Granted, Wish, data_url, grant, is_object, tighten, with_words

NAME = "openai_responses"
_LACKS: tuple[Wish, ...] = ("stop", "seed", "frequency_penalty", "presence_penalty")
_LEAST_TOKENS = 16  # OpenAI answers 400 to less
_COUNTED = ("model", "input", "instructions", "tools", "tool_choice", "text", "reasoning", "parallel_tool_calls")


class Fold(TypedFold):
    """Folds typed events; switches on `type`, as some servers leave out the `event:` line."""

    def __init__(self) -> None:
        read: Mapping[str, Callable[[Any], tuple[Delta, ...]]] = {
            "response.output_text.delta": self._text,
            "response.refusal.delta": self._refusal,
            "response.reasoning_text.delta": self._thought,
            "response.reasoning_summary_text.delta": self._thought,
            "response.reasoning_summary_part.added": self._paragraph,
            "response.function_call_arguments.delta": self._arguments,
            "response.output_item.added": self._added,
            "response.output_item.done": self._finished,
            "response.created": self._created,
            "response.completed": self._ended,
            "response.incomplete": self._ended,
            "response.failed": self._ended,
            "response.cancelled": self._ended,
            "error": self._error,
        }
        super().__init__(read)
        self._usage: Usage | None = None

    def _failed(self, kind: Any, event: Mapping[str, Any]) -> bool:
        del kind
        return "type" not in event and bool(event.get("error"))

    def whole(self, body: Any) -> Sequence[Delta]:
        response = self._draft.read_whole(body)
        if not isinstance(response.get("output"), list) and not response.get("error"):
            raise Malformed("The provider sent a response without output.")
        return self._ended({"response": response})

    def answer(self) -> Answer:
        return self._draft.answer(self._usage)

    def _text(self, event: Any) -> tuple[Delta, ...]:
        return self._draft.say(event.get("delta"))

    def _refusal(self, event: Any) -> tuple[Delta, ...]:
        self._draft.refusal.append(string(event.get("delta")))
        return NOTHING

    def _thought(self, event: Any) -> tuple[Delta, ...]:
        return self._draft.think(_place(event), string(event.get("delta")))

    def _paragraph(self, event: Any) -> tuple[Delta, ...]:
        place = _place(event)
        return self._draft.think(place, "\n\n") if place in self._draft.thoughts else NOTHING

    def _arguments(self, event: Any) -> tuple[Delta, ...]:
        return self._draft.argue(_place(event), string(event.get("delta")))

    def _added(self, event: Any) -> tuple[Delta, ...]:
        item = mapping(event.get("item"))
        if item.get("type") != "function_call":
            return NOTHING
        self._draft.calls[_place(event)] = CallDraft(string(item.get("call_id")), string(item.get("name")))
        return (Delta("tool", ""),)

    def _finished(self, event: Any) -> tuple[Delta, ...]:
        """The item as it stands at its end: what its deltas did not bring is taken from here."""
        place, item = _place(event), mapping(event.get("item"))
        match item.get("type"):
            case "function_call":
                return self._call(place, item)
            case "reasoning":
                return self._reasoned(place, item)
            case "message" if not self._draft.text and not self._draft.refusal:
                return self._message(item)
            case _:
                return NOTHING

    def _call(self, place: int, item: Mapping[str, Any]) -> tuple[Delta, ...]:
        call = self._draft.calls.setdefault(place, CallDraft())
        call.id = call.id or string(item.get("call_id")) or string(item.get("id"))
        call.name = call.name or string(item.get("name"))
        arguments = string(item.get("arguments"))
        if call.arguments or not arguments:
            return NOTHING
        call.arguments.append(arguments)
        return (Delta("tool", scrub(arguments)),)

    def _reasoned(self, place: int, item: Mapping[str, Any]) -> tuple[Delta, ...]:
        deltas: tuple[Delta, ...] = NOTHING
        if place not in self._draft.thoughts:
            parts = [string(part.get("text")) for part in objects(item.get("summary")) or objects(item.get("content"))]
            deltas = self._draft.think(place, "\n\n".join(part for part in parts if part))
        if secret := string(item.get("encrypted_content")):
            self._draft.sign(place, sign(NAME, f"{string(item.get('id'))} {secret}"))
        return deltas

    def _message(self, item: Mapping[str, Any]) -> tuple[Delta, ...]:
        deltas: list[Delta] = []
        for part in objects(item.get("content")):
            if part.get("type") == "refusal":
                self._draft.refusal.append(string(part.get("refusal")))
            else:
                deltas += self._draft.say(part.get("text"))
        return tuple(deltas)

    def _created(self, event: Any) -> tuple[Delta, ...]:
        response = mapping(event.get("response"))
        self._draft.model = string(response.get("model")) or self._draft.model
        self._draft.request_id = string(response.get("id"))
        return NOTHING

    def _ended(self, event: Any) -> tuple[Delta, ...]:
        self._created(event)
        response = mapping(event.get("response"))
        self._usage = _usage(response.get("usage")) or self._usage
        if response.get("error") or event.get("type") == "response.failed":
            raise self._draft.failure(response)
        deltas = self._outputs(response)
        reason = string(mapping(response.get("incomplete_details")).get("reason"))
        status = string(response.get("status"))
        if status not in ("in_progress", "queued"):
            self._draft.finish_raw = reason or status or string(event.get("type")).rpartition(".")[2] or "completed"
        self.done = True
        return deltas

    def _outputs(self, response: Mapping[str, Any]) -> tuple[Delta, ...]:
        """The whole output: everything of a whole answer; of a streamed one what its deltas did not bring."""
        draft = self._draft
        sofar, refused = "".join(draft.text), bool(draft.refusal)
        deltas: list[Delta] = []
        draft.text.clear()
        for place, item in enumerate(objects(response.get("output"))):
            if item.get("type") != "message":
                deltas += self._finished({"output_index": place, "item": item})
            elif not refused:
                said = self._message(item)
                deltas += NOTHING if sofar else said
        return (*deltas, *self._completed(sofar)) if sofar else tuple(deltas)

    def _completed(self, sofar: str) -> tuple[Delta, ...]:
        """The final text counts, even where pieces were lost; what was handed out can be completed, not unsaid."""
        full = "".join(self._draft.text)
        if not full:
            self._draft.text.append(sofar)
        elif full.startswith(sofar) and len(full) > len(sofar):
            return (Delta("text", scrub(full[len(sofar) :])),)
        return NOTHING

    def _error(self, event: Any) -> tuple[Delta, ...]:
        raise self._draft.failure(event)


def _place(event: Any) -> int:
    place = event.get("output_index")
    return place if isinstance(place, int) else 0


def _usage(raw: Any) -> Usage | None:
    body = mapping(raw)
    if body.get("input_tokens") is None and body.get("output_tokens") is None:
        return None
    read, made = mapping(body.get("input_tokens_details")), mapping(body.get("output_tokens_details"))
    written = read.get("cache_write_tokens")
    if isinstance(written, dict):  # split by lifetime
        written = sum(count(tokens) or 0 for tokens in mapping(written).values())
    tokens = usage(
        body.get("input_tokens"),
        body.get("output_tokens"),
        cached=read.get("cached_tokens"),
        write=written,
        reasoning=made.get("reasoning_tokens"),
    )
    return _openai.with_cost(tokens, body)


class OpenAIResponses(_openai.Speaker):
    """The dialect `openai_responses`."""

    name = NAME
    framing = "sse"

    def render(self, request: Request, card: ModelCard, *, stream: bool) -> Call:
        granted = grant(request, card, _LACKS)
        body = _body(request, card, granted)
        if request.max_tokens is not None:
            body["max_output_tokens"] = max(request.max_tokens, _LEAST_TOKENS)
        if request.prompt_cache_key and "prompt_cache_key" in card.flags:
            body["prompt_cache_key"] = request.prompt_cache_key
        body["store"] = False
        if "reasoning" in card.capabilities:
            body["include"] = ["reasoning.encrypted_content"]
        if stream:
            body["stream"] = True
        return Call("/responses", body, warnings=tuple(granted.warnings))

    def fold(self, card: ModelCard) -> Fold:  # noqa: ARG002 - this wire has no quirks in its answers
        return Fold()

    def render_count(self, request: Request, card: ModelCard) -> Call:
        body = _body(request, card, grant(request, card, _LACKS))
        return Call("/responses/input_tokens", {name: body[name] for name in _COUNTED if name in body})

    def parse_count(self, body: Any) -> int:
        if (tokens := count(mapping(body).get("input_tokens"))) is None:
            raise Malformed("The provider sent no token count.")
        return tokens


dialect = OpenAIResponses()


def _body(request: Request, card: ModelCard, granted: Granted) -> dict[str, Any]:
    schema = request.schema
    native = schema is not None and "json" in card.capabilities and is_object(schema)
    body: dict[str, Any] = {"model": card.id, "input": _input(request, card.flags)}
    if instructions := with_words(request.system, None if native else schema):
        body["instructions"] = instructions
    body |= granted.values
    if granted.effort is not None:
        body["reasoning"] = {"effort": granted.effort}
        if "reasoning_summary" in card.flags and granted.effort != "none":
            body["reasoning"]["summary"] = "auto"
    if schema is not None and native:
        tight, strict = tighten(schema)
        body["text"] = {"format": {"type": "json_schema", "name": "answer", "schema": tight, "strict": strict}}
    if request.tools:
        body |= _tools(request, granted)
    return body


def _input(request: Request, flags: frozenset[str]) -> list[dict[str, Any]]:
    role = "developer" if "developer_role" in flags else "system"
    return [item for message in request.messages for item in _items(message, role)]


def _items(message: Message, system_role: str) -> Iterable[dict[str, Any]]:
    """A turn as items: its text and pictures as one message, everything else by itself, in order."""
    role = {"system": system_role, "tool": "user"}.get(message.role, message.role)
    spoken: list[Text | Image] = []
    for part in message.parts:
        if isinstance(part, Text | Image):
            spoken.append(part)
            continue
        if spoken:
            yield {"role": role, "content": _content(spoken, role)}
            spoken = []
        if (item := _item(part)) is not None:
            yield item
    if spoken:
        yield {"role": role, "content": _content(spoken, role)}


def _item(part: Part) -> dict[str, Any] | None:
    match part:
        case ToolCall():
            return {
                "type": "function_call",
                "call_id": part.id,
                "name": part.name,
                "arguments": part.arguments or "{}",
            }
        case ToolResult():
            return {"type": "function_call_output", "call_id": part.id, "output": part.text}
        case Reasoning() if raw := signed(NAME, part.signature):
            item_id, _, secret = raw.partition(" ")
            summary = [{"type": "summary_text", "text": part.text}] if part.text else []
            return {"type": "reasoning", "id": item_id, "summary": summary, "encrypted_content": secret}
        case _:
            return None


def _content(parts: Sequence[Text | Image], role: str) -> str | list[dict[str, Any]]:
    if all(isinstance(part, Text) for part in parts):
        return "".join(part.text for part in parts if isinstance(part, Text))
    kind = "output_text" if role == "assistant" else "input_text"
    return [
        {"type": "input_image", "image_url": data_url(part)}
        if isinstance(part, Image)
        else {"type": kind, "text": part.text}
        for part in parts
    ]


def _tools(request: Request, granted: Granted) -> dict[str, Any]:
    written: dict[str, Any] = {"tools": [_tool(tool) for tool in request.tools]}
    choice = granted.tool_choice
    if choice in ("none", "required"):
        written["tool_choice"] = choice
    elif choice != "auto":
        written["tool_choice"] = {"type": "function", "name": choice}
    if not request.parallel_tools:
        written["parallel_tool_calls"] = False
    return written


def _tool(tool: Tool) -> dict[str, Any]:
    # `strict` defaults to true here, which refuses most people's schemas
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": False,
    }
