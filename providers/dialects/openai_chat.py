"""OpenAI's `POST /chat/completions`, and everyone who speaks it: quirks are flags of the card, never provider names.

Sources: openai SDK 3.52 `types/chat`, recorded exchanges of 16 providers, guide providers §2, §3, §6-8, §11.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import Malformed
from ..types import (
    Answer,
    Delta,
    Image,
    Message,
    ModelCard,
    Reasoning,
    Request,
    Text,
    Tool,
    ToolCall,
)
from . import Call, _openai
from ._draft import NOTHING, CallDraft, Draft, sign, signed
from ._json import dump, items, mapping, objects, read_json, scrub, string
from ._refrain import Refrain
from ._write import Granted, data_url, grant, is_object, results, schema_words, short_id, tighten

NAME = "openai_chat"
_MOST_STOPS = 4  # OpenAI's limit


class Fold:
    """Folds chunks or one completion. The last usage wins: Perplexity's is cumulative in every chunk."""

    __slots__ = ("_beside", "_card", "_details", "_draft", "_refrain", "_usage", "done")

    def __init__(self, card: ModelCard) -> None:
        self.done = False
        self._card = card
        self._details: dict[Any, list[dict[str, Any]]] = {}
        self._draft = Draft()
        self._refrain: Refrain | None = Refrain("content")
        self._usage: Any = None
        self._beside = "reasoning_beside_output" in card.flags

    def event(self, name: str, data: bytes) -> Sequence[Delta]:
        refrain = self._refrain
        if refrain is not None and not name and (text := refrain.text(data)):
            return self._draft.say(text)
        if data.strip() == b"[DONE]":
            self.done = True
            return NOTHING
        chunk = self._draft.read(data)
        self._envelope(name, chunk)
        choices = chunk.get("choices")
        if choices.__class__ is not list:
            return NOTHING
        for choice in choices:
            if choice.__class__ is dict and not choice.get("index"):
                # what these set, an event in between may set otherwise: only text can be said again without looking
                if refrain is not None and not (chunk.get("usage") or "x_groq" in chunk or choice.get("finish_reason")):
                    self._refrain = refrain if refrain.learn(data, choice.get("delta")) else None
                return self._choice(choice, choice.get("delta"))
        return NOTHING

    def whole(self, body: Any) -> Sequence[Delta]:
        completion = self._draft.read_whole(body)
        self._envelope("", completion)
        choice = next((c for c in objects(completion.get("choices")) if not c.get("index")), None)
        if choice is None:
            raise Malformed("The provider sent an answer without a choice.")
        message = choice.get("message")
        if (
            not isinstance(message, dict) and choice.get("finish_reason") != "content_filter"
        ):  # Azure leaves it out then
            raise Malformed("The provider sent a choice without a message.")
        deltas = self._choice(choice, message)
        if not self._draft.finish_raw:  # Snowflake: the body is complete, only the word is missing
            self._draft.finish_raw = "stop"
            self._draft.warnings.append("the provider gave no finish reason")
        self.done = True
        return deltas

    def answer(self) -> Answer:
        if self._details:
            details = dump([_joined(pieces) for pieces in self._details.values()])
            self._draft.sign(0, sign(NAME, f"{self._card.id} {scrub(details)}"))
        return self._draft.answer(_openai.chat_usage(self._usage, beside=self._beside))

    def _envelope(self, name: str, chunk: Any) -> None:
        usage = chunk.get("usage")
        if usage:
            self._usage = usage
        if chunk.get("error") or name == "error":
            raise self._draft.failure(chunk)
        draft = self._draft
        if not draft.model:
            draft.model = string(chunk.get("model"))
            draft.request_id = draft.request_id or string(chunk.get("id"))
        if "x_groq" in chunk and not usage:
            self._usage = mapping(chunk["x_groq"]).get("usage") or self._usage
        if chunk.get("object") == "chat.completion.done":
            self.done = True  # Perplexity's last word; it sends no [DONE]

    def _choice(self, choice: Any, delta: Any) -> Sequence[Delta]:
        finish = choice.get("finish_reason")
        if finish and finish.__class__ is str:
            self._draft.finish_raw = finish
        if delta.__class__ is not dict:
            return NOTHING
        text = delta.get("content")
        if len(delta) == 1 and text.__class__ is str:  # what nearly every event of most speakers looks like
            return self._draft.say(text)
        return self._delta(delta, text)

    def _delta(self, delta: Any, text: Any) -> Sequence[Delta]:
        deltas: tuple[Delta, ...] = NOTHING
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        details = delta.get("reasoning_details")
        if details:
            thought = self._detail(objects(details), thought)
        if thought.__class__ is str:
            deltas = self._draft.think(0, thought)
        if text:
            deltas += self._say(text)
        if delta.get("tool_calls") or delta.get("function_call"):
            deltas += self._call(delta)
        refusal = delta.get("refusal")
        if refusal.__class__ is str and refusal:
            self._draft.refusal.append(refusal)
        return deltas

    def _detail(self, details: list[dict[str, Any]], told: Any) -> Any:
        """Keep the details where they are wanted back; the thought is what was told beside them, or (Snowflake) in them.

        Streamed, one block comes in fragments of one type and index; sent back in fragments its signature is refused.
        """
        if "reasoning_details" in self._card.flags:
            for item in details:
                index = item.get("index")
                place = len(self._details) if index is None else (string(item.get("type")), str(index))
                flat = {name: value for name, value in item.items() if not isinstance(value, dict | list)}
                self._details.setdefault(place, []).append(flat)
        return told if isinstance(told, str) else "".join(string(item.get("text")) for item in details)

    def _say(self, text: Any) -> tuple[Delta, ...]:
        if text.__class__ is str:
            return self._draft.say(text)
        deltas: list[Delta] = []
        for part in objects(text):  # Mistral's list content
            if part.get("type") == "thinking":
                for piece in objects(part.get("thinking")):
                    deltas += self._draft.think(0, string(piece.get("text")))
            elif string(part.get("text")):
                deltas += self._say(part["text"])
        return tuple(deltas)

    def _call(self, delta: Any) -> tuple[Delta, ...]:
        calls = objects(delta.get("tool_calls"))
        old = mapping(delta.get("function_call"))
        if not calls and string(old.get("name")):
            calls = [{"index": 0, "function": old}]
        return tuple(Delta("tool", scrub(self._fragment(call))) for call in calls)

    def _fragment(self, raw: dict[str, Any]) -> str:
        """Join a fragment to its call: by index, else by id; a second id under one index is a second call."""
        calls, function = self._draft.calls, mapping(raw.get("function"))
        call_id, index = string(raw.get("id")), raw.get("index")
        if not isinstance(index, int):
            index = call_id or next(reversed(calls), 0)
        known = calls.get(index)
        if known is not None and call_id and known.id and known.id != call_id:
            index = call_id
            known = calls.get(index)
        if known is None:
            google = mapping(mapping(raw.get("extra_content")).get("google"))
            known = calls[index] = CallDraft(signature=sign(NAME, google.get("thought_signature")))
        known.id = known.id or call_id
        known.name = known.name or string(function.get("name"))
        arguments = function.get("arguments")
        piece = dump(arguments) if isinstance(arguments, dict) else string(arguments)
        if piece:
            known.arguments.append(piece)
        return piece


def _joined(pieces: list[dict[str, Any]]) -> dict[str, Any]:
    """One block of reasoning details from its fragments."""
    if len(pieces) == 1:
        return pieces[0]
    whole: dict[str, Any] = {}
    for piece in pieces:
        whole |= {name: value for name, value in piece.items() if value is not None}
    for name in ("text", "summary", "data"):
        if name in whole:
            whole[name] = "".join(string(piece.get(name)) for piece in pieces)
    return whole


class OpenAIChat(_openai.Speaker):
    """The dialect `openai_chat`."""

    name = NAME
    framing = "sse"

    def render(self, request: Request, card: ModelCard, *, stream: bool) -> Call:
        granted = grant(request, card)
        body: dict[str, Any] = {"model": card.id, "messages": _messages(request, card)}
        body |= _settings(request, granted, card.flags)
        body |= _effort(granted, card.flags)
        body |= _format(request.schema, card) if request.schema is not None else {}
        body |= _tools(request, granted, card.flags) if request.tools else {}
        if stream:
            body["stream"] = True
            if "no_stream_options" not in card.flags:
                body["stream_options"] = {"include_usage": True}
        return Call("/chat/completions", body, warnings=tuple(granted.warnings))

    def fold(self, card: ModelCard) -> Fold:
        return Fold(card)


dialect = OpenAIChat()


def _messages(request: Request, card: ModelCard) -> list[dict[str, Any]]:
    role = "developer" if "developer_role" in card.flags else "system"
    words = schema_words(request.schema) if request.schema is not None and not _native(request.schema, card) else ""
    system = "\n\n".join(text for text in (request.system, words) if text)
    written: list[dict[str, Any]] = [{"role": role, "content": system}] if system else []
    for message in request.messages:
        written += _turn(message, role, card)
    return written


def _turn(message: Message, system_role: str, card: ModelCard) -> Iterable[dict[str, Any]]:
    flags = card.flags
    short = short_id if "short_tool_ids" in flags else str
    if found := results(message):
        return [{"role": "tool", "tool_call_id": short(result.id), "content": result.text} for result in found]
    turn: dict[str, Any] = {"role": system_role if message.role == "system" else message.role}
    turn["content"] = _content(message, cache="cache_control" in flags)
    if calls := [part for part in message.parts if isinstance(part, ToolCall)]:
        turn["tool_calls"] = [_written_call(call, short(call.id)) for call in calls]
        turn["content"] = turn["content"] or None
        thoughts = "".join(part.text for part in message.parts if isinstance(part, Reasoning))
        if thoughts and "echo_reasoning" in flags:
            turn["reasoning_content"] = thoughts
    if details := _details(message, card):
        turn["reasoning_details"] = details
    return [turn]


def _details(message: Message, card: ModelCard) -> list[Any]:
    """The reasoning details of this turn as they came, if this model wrote them: another's it could not verify."""
    if "reasoning_details" not in card.flags:
        return []
    signatures = (signed(NAME, part.signature) for part in message.parts if isinstance(part, Reasoning))
    told = ((raw or "").partition(" ") for raw in signatures)
    return [detail for model, _, raw in told if model == card.id for detail in items(read_json(raw.encode()))]


def _written_call(call: ToolCall, call_id: str) -> dict[str, Any]:
    written: dict[str, Any] = {
        "id": call_id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments or "{}"},
    }
    if signature := signed(NAME, call.signature):  # Gemini's OpenAI side binds thinking to the call
        written["extra_content"] = {"google": {"thought_signature": signature}}
    return written


def _content(message: Message, *, cache: bool) -> str | list[dict[str, Any]]:
    """Plain text where that is enough: some speakers take nothing else."""
    parts = [part for part in message.parts if isinstance(part, Text | Image)]
    if all(isinstance(part, Text) and not (cache and part.cache_until_here) for part in parts):
        return message.text
    return [_part(part, cache=cache) for part in parts]


def _part(part: Text | Image, *, cache: bool) -> dict[str, Any]:
    if isinstance(part, Image):
        return {"type": "image_url", "image_url": {"url": data_url(part)}}
    hint = {"cache_control": {"type": "ephemeral"}} if cache and part.cache_until_here else {}
    return {"type": "text", "text": part.text, **hint}


def _settings(request: Request, granted: Granted, flags: frozenset[str]) -> dict[str, Any]:
    values = dict(granted.values)
    if request.max_tokens is not None:
        values["max_completion_tokens" if "max_completion_tokens" in flags else "max_tokens"] = request.max_tokens
    if "stop" in values:
        values["stop"] = list(request.stop[:_MOST_STOPS])
    if "seed" in values and "random_seed" in flags:
        values["random_seed"] = values.pop("seed")
    if request.prompt_cache_key and "prompt_cache_key" in flags:
        values["prompt_cache_key"] = request.prompt_cache_key
    return values


def _effort(granted: Granted, flags: frozenset[str]) -> dict[str, Any]:
    effort = granted.effort
    if "thinking_type" in flags:
        return _thinking(granted)
    parsed = {"reasoning_format": "parsed"} if "reasoning_parsed" in flags else {}
    if effort is None:
        return parsed
    if "effort_object" in flags:
        return {"reasoning": {"effort": effort}}
    if "reasoning_enabled" in flags:
        return {"reasoning": {"enabled": effort != "none"}}
    return {"reasoning_effort": effort, **parsed}


def _thinking(granted: Granted) -> dict[str, Any]:
    """DeepSeek thinks unless told not to, and refuses a forced tool while it does."""
    effort, forced = granted.effort, granted.tool_choice not in ("auto", "none")
    if forced and effort not in (None, "none"):
        granted.warnings.append("reasoning was not sent: it cannot be combined with a forced tool choice")
    if forced or effort == "none":
        return {"thinking": {"type": "disabled"}}
    return {"thinking": {"type": "enabled"}, "reasoning_effort": effort} if effort is not None else {}


def _native(schema: Mapping[str, Any], card: ModelCard) -> bool:
    return "json" in card.capabilities and "json_object_only" not in card.flags and is_object(schema)


def _format(schema: Mapping[str, Any], card: ModelCard) -> dict[str, Any]:
    if not _native(schema, card):
        plain = "json_object_only" in card.flags and is_object(schema)
        return {"response_format": {"type": "json_object"}} if plain else {}
    tight, strict = tighten(schema)
    return {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": tight, "strict": strict},
        }
    }


def _tools(request: Request, granted: Granted, flags: frozenset[str]) -> dict[str, Any]:
    written: dict[str, Any] = {"tools": [_tool(tool) for tool in request.tools]}
    choice = granted.tool_choice
    if choice in ("auto", "none", "required"):
        if "no_tool_choice" not in flags and choice != "auto":
            written["tool_choice"] = choice
        elif choice == "none":
            return {}
    else:
        written["tool_choice"] = {"type": "function", "function": {"name": choice}}
    if not request.parallel_tools:
        if "no_parallel_choice" in flags:
            granted.warnings.append("parallel_tools=false was not sent: the model does not take it")
        else:
            written["parallel_tool_calls"] = False
    return written


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
    }
