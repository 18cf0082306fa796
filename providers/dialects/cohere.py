"""Cohere's `POST /v2/chat`. What counts is `billed_units`: the raw count holds a hidden preamble of up to 6 x.

Sources: cohere SDK 7.3, recorded exchanges, docs.cohere.com/v2, guide providers §10.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from ..errors import Malformed, ProviderError
from ..types import (
    Answer,
    Capability,
    Delta,
    Embeddings,
    Image,
    Listed,
    Message,
    ModelCard,
    Request,
    Text,
    Tool,
    ToolCall,
    Usage,
)
from . import Call
from ._draft import NOTHING, CallDraft, TypedFold, usage
from ._errors import classify, complaint
from ._json import count, items, mapping, objects, scrub, string
from ._openai import bearer, first, vector
from ._write import EFFORTS, Granted, budget, data_url, grant, results, system_text, with_words

NAME = "cohere"
_MOST_STOPS = 5


class Fold(TypedFold):
    """Folds typed events, each with its piece under `delta.message`."""

    def __init__(self) -> None:
        read: Mapping[str, Callable[[Any], tuple[Delta, ...]]] = {
            "message-start": self._begun,
            "content-start": self._content,
            "content-delta": self._content,
            "tool-plan-delta": self._plan,
            "tool-call-start": self._call,
            "tool-call-delta": self._arguments,
            "message-end": self._ended,
        }
        super().__init__(read)
        self._usage: Usage | None = None

    def _failed(self, kind: Any, event: Mapping[str, Any]) -> bool:
        return bool(event.get("error")) or kind == "error" or (kind == "" and "message" in event)

    def whole(self, body: Any) -> Sequence[Delta]:
        answer = self._draft.read_whole(body)
        message = answer.get("message")
        if not isinstance(message, dict):
            raise Malformed("The provider sent an answer without a message.")
        self._begun(answer)
        event = {"delta": answer}
        deltas = list(self._plan(event))
        for block in objects(mapping(message).get("content")):
            deltas += self._piece(block)
        for index, call in enumerate(objects(mapping(message).get("tool_calls"))):
            deltas += self._call({"index": index, "delta": {"message": {"tool_calls": call}}})
        self._ended(event)
        self.done = True
        return deltas

    def answer(self) -> Answer:
        return self._draft.answer(self._usage)

    def _begun(self, event: Any) -> tuple[Delta, ...]:
        self._draft.request_id = string(event.get("id"))
        return NOTHING

    def _content(self, event: Any) -> tuple[Delta, ...]:
        return self._piece(_message(event).get("content"))

    def _piece(self, block: Any) -> tuple[Delta, ...]:
        if block.__class__ is not dict:
            return NOTHING
        return self._draft.say(block.get("text")) or self._draft.think(0, block.get("thinking"))

    def _plan(self, event: Any) -> tuple[Delta, ...]:
        return self._draft.think(0, _message(event).get("tool_plan"))

    def _call(self, event: Any) -> tuple[Delta, ...]:
        call = mapping(_message(event).get("tool_calls"))
        function = mapping(call.get("function"))
        arguments = string(function.get("arguments"))
        self._draft.calls[_place(event)] = CallDraft(string(call.get("id")), string(function.get("name")), arguments)
        return (Delta("tool", scrub(arguments)),)

    def _arguments(self, event: Any) -> tuple[Delta, ...]:
        function = mapping(mapping(_message(event).get("tool_calls")).get("function"))
        return self._draft.argue(_place(event), string(function.get("arguments")))

    def _ended(self, event: Any) -> tuple[Delta, ...]:
        delta = mapping(event.get("delta"))
        self._draft.finish_raw = string(delta.get("finish_reason")) or self._draft.finish_raw
        self._usage = _usage(delta.get("usage")) or self._usage
        if delta.get("error"):
            raise self._draft.failure(delta)
        return NOTHING


def _message(event: Any) -> dict[str, Any]:
    return mapping(mapping(event.get("delta")).get("message"))


def _place(event: Any) -> int:
    place = event.get("index")
    return place if isinstance(place, int) else 0


def _usage(raw: Any) -> Usage | None:
    """Billed tokens. `cached_tokens` is part of the raw count, so nothing of it may be taken off the billed one."""
    billed, tokens = mapping(mapping(raw).get("billed_units")), mapping(mapping(raw).get("tokens"))
    given, made = (first(billed.get(name), tokens.get(name)) for name in ("input_tokens", "output_tokens"))
    if given is None and made is None:
        return None
    return usage(given, made, reasoning=tokens.get("reasoning_tokens"))


class Cohere:
    """The dialect `cohere`."""

    name = NAME
    framing = "sse"

    def headers(self, key: str | None) -> Mapping[str, str]:
        return bearer(key)

    def render(self, request: Request, card: ModelCard, *, stream: bool) -> Call:
        if "reasoning" in card.capabilities and not card.efforts:
            card = replace(card, efforts=EFFORTS)  # thinking is bought as tokens, so any effort says something
        granted = grant(request, card)
        native = "json" in card.capabilities and not request.tools  # Cohere refuses the two together
        system = with_words(system_text(request), None if native else request.schema)
        body: dict[str, Any] = {"model": card.id, "messages": _messages(request, system)}
        body |= _settings(request, granted)
        if request.schema is not None and native:
            body["response_format"] = {"type": "json_object", "json_schema": request.schema}
        if granted.effort == "none":
            body["thinking"] = {"type": "disabled"}
        elif granted.effort is not None:
            most = request.max_tokens if request.max_tokens is not None else card.max_output
            body["thinking"] = {"type": "enabled", "token_budget": budget(granted.effort, most)}
        body |= _tools(request, granted)
        body["stream"] = stream
        return Call("/v2/chat", body, warnings=tuple(granted.warnings))

    def fold(self, card: ModelCard) -> Fold:  # noqa: ARG002 - this wire has no quirks in its answers
        return Fold()

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return classify(complaint(status, headers, body))

    def render_embed(self, texts: Sequence[str], model: str) -> Call:
        body = {"model": model, "texts": list(texts), "input_type": "search_document", "embedding_types": ["float"]}
        return Call("/v2/embed", body)

    def parse_embed(self, body: Any) -> Embeddings:
        answer = mapping(body)
        rows = items(mapping(answer.get("embeddings")).get("float"))
        if not rows:
            raise Malformed("The provider sent no embeddings.")
        billed = mapping(mapping(answer.get("meta")).get("billed_units"))
        return Embeddings(tuple(vector(row) for row in rows), usage(billed.get("input_tokens"), 0))

    def render_list(self) -> Call:
        return Call("/v1/models?page_size=1000", method="GET")

    def parse_list(self, body: Any) -> tuple[Sequence[Listed], str | None]:
        page = mapping(body)
        if not isinstance(page.get("models"), list):
            raise Malformed("The provider sent a model list that is none.")
        token = string(page.get("next_page_token"))
        following = f"/v1/models?page_size=1000&page_token={quote(scrub(token), safe='')}" if token else None
        return tuple(_listed(entry) for entry in objects(page["models"]) if string(entry.get("name"))), following

    def render_count(self, request: Request, card: ModelCard) -> Call:
        """The text alone: what Cohere adds to it is not billed."""
        texts = (request.system, *(message.text for message in request.messages))
        return Call("/v1/tokenize", {"model": card.id, "text": "\n".join(text for text in texts if text)})

    def parse_count(self, body: Any) -> int:
        if not isinstance(tokens := mapping(body).get("tokens"), list):
            raise Malformed("The provider sent no token count.")
        return len(items(tokens))


dialect = Cohere()


def _settings(request: Request, granted: Granted) -> dict[str, Any]:
    values = dict(granted.values)
    if "stop" in values:
        del values["stop"]
        values["stop_sequences"] = list(request.stop[:_MOST_STOPS])
    if "top_p" in values:
        values["p"] = values.pop("top_p")
    if request.max_tokens is not None:
        values["max_tokens"] = request.max_tokens
    return values


def _messages(request: Request, system: str) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    for message in request.messages:
        if found := results(message):
            written += [{"role": "tool", "tool_call_id": result.id, "content": result.text} for result in found]
        elif message.role != "system":
            written.append(_turn(message))
    return written


def _turn(message: Message) -> dict[str, Any]:
    calls = [part for part in message.parts if isinstance(part, ToolCall)]
    if calls:
        return {"role": "assistant", "tool_calls": [_written_call(call) for call in calls], **_said(message)}
    return {"role": message.role, "content": _content(message)}


def _said(message: Message) -> dict[str, str]:
    """What was said beside calls is a plan to Cohere."""
    return {"tool_plan": message.text} if message.text else {}


def _written_call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}


def _content(message: Message) -> str | list[dict[str, Any]]:
    if not any(isinstance(part, Image) for part in message.parts):
        return message.text
    return [
        {"type": "text", "text": part.text}
        if isinstance(part, Text)
        else {"type": "image_url", "image_url": {"url": data_url(part)}}
        for part in message.parts
        if isinstance(part, Text | Image)
    ]


def _tools(request: Request, granted: Granted) -> dict[str, Any]:
    if not request.tools:
        return {}
    choice, tools = granted.tool_choice, request.tools
    if choice not in ("auto", "none", "required"):  # no word for one tool: offer only that one
        tools = tuple(tool for tool in tools if tool.name == choice) or tools
    if not request.parallel_tools:
        granted.warnings.append("parallel_tools=false was not sent: Cohere has no word for it")
    forced = {} if choice == "auto" else {"tool_choice": "NONE" if choice == "none" else "REQUIRED"}
    return {"tools": [_tool(tool) for tool in tools], **forced}


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


_FEATURES: dict[str, Capability] = {"tools": "tools", "vision": "vision", "json_mode": "json", "reasoning": "reasoning"}


def _listed(entry: Mapping[str, Any]) -> Listed:
    endpoints, features = items(entry.get("endpoints")), items(entry.get("features"))
    capabilities: set[Capability] = {_FEATURES[word] for word in map(string, features) if word in _FEATURES}
    if "chat" in endpoints:
        capabilities |= {"streaming", "sampling"}
    if "embed" in endpoints:
        capabilities.add("embeddings")
    return Listed(
        id=scrub(entry["name"])[:200],
        context_window=count(entry.get("context_length")),
        capabilities=frozenset(capabilities) if features or "embed" in endpoints else None,
    )
