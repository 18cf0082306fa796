"""Ollama's native `POST /api/chat`: NDJSON, whose last line says `done`. Only here can the window be set.

Sources: ollama SDK 0.6, docs.ollama.com/api, recorded exchanges, guide providers §9.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import Malformed, NotHere, ProviderError
from ..types import (
    Answer,
    Delta,
    Embeddings,
    Image,
    Listed,
    Message,
    ModelCard,
    Reasoning,
    Request,
    Text,
    Tool,
    ToolCall,
    Usage,
)
from . import Call
from ._draft import NOTHING, CallDraft, Draft, usage
from ._errors import classify, complaint
from ._json import dump, items, mapping, objects, scrub, string
from ._openai import bearer, vector
from ._write import EFFORTS, Granted, arguments_of, base64_of, grant, names_of_calls, results, with_words

NAME = "ollama"
_LEAST_WINDOW = 8192  # Ollama's own default is 4,096 below 24 GiB, too small for a document
_SMALL_WINDOW = 32_768  # up to here a model's whole window is asked for: a changed window reloads the model
_OUTPUT_RESERVE = 4096
_IMAGE_TOKENS = 1024


class Fold:
    """Folds lines; a whole answer is its only line."""

    __slots__ = ("_draft", "_usage", "done")

    def __init__(self) -> None:
        self.done = False
        self._draft = Draft()
        self._usage: Usage | None = None

    def event(self, name: str, data: bytes) -> Sequence[Delta]:  # noqa: ARG002 - NDJSON has no names
        return self._line(self._draft.read(data))

    def whole(self, body: Any) -> Sequence[Delta]:
        line = self._draft.read_whole(body)
        if not isinstance(line.get("message"), dict) and not line.get("error"):
            raise Malformed("The provider sent an answer without a message.")
        return self._line(line)

    def answer(self) -> Answer:
        return self._draft.answer(self._usage)

    def _line(self, line: Any) -> tuple[Delta, ...]:
        draft = self._draft
        if line.get("error"):
            raise draft.failure(line)
        draft.model = draft.model or string(line.get("model"))
        deltas = self._message(line.get("message"))
        if line.get("done") is True:
            self.done = True
            draft.finish_raw = string(line.get("done_reason")) or "stop"  # older servers give no reason
            if "eval_count" in line or "prompt_eval_count" in line:
                self._usage = usage(line.get("prompt_eval_count"), line.get("eval_count"))
        return deltas

    def _message(self, message: Any) -> tuple[Delta, ...]:
        if message.__class__ is not dict:
            return NOTHING
        deltas = self._draft.think(0, message.get("thinking")) + self._draft.say(message.get("content"))
        if message.get("tool_calls"):
            deltas += tuple(self._call(call) for call in objects(message["tool_calls"]))
        return deltas

    def _call(self, raw: Mapping[str, Any]) -> Delta:
        calls, function = self._draft.calls, mapping(raw.get("function"))
        given = function.get("arguments")
        arguments = given if isinstance(given, str) else dump(mapping(given))
        calls[len(calls)] = CallDraft(string(raw.get("id")), string(function.get("name")), arguments)
        return Delta("tool", scrub(arguments))


class Ollama:
    """The dialect `ollama`."""

    name = NAME
    framing = "ndjson"

    def headers(self, key: str | None) -> Mapping[str, str]:
        return bearer(key)

    def render(self, request: Request, card: ModelCard, *, stream: bool) -> Call:
        """Raises NotHere for a picture given by URL: Ollama fetches none."""
        if "reasoning" in card.capabilities and not card.efforts:
            card = replace(card, efforts=EFFORTS)  # a thinking model takes a boolean, so any effort says something
        granted = grant(request, card)
        native = "json" in card.capabilities
        body: dict[str, Any] = {
            "model": card.id,
            "messages": _messages(request, with_words(request.system, None if native else request.schema)),
            "stream": stream,
            "options": {"num_ctx": _window(request, card), **_options(request, granted)},
        }
        if request.schema is not None and native:
            body["format"] = request.schema
        if granted.effort is not None:
            asleep = granted.effort == "none"
            body["think"] = granted.effort if "think_levels" in card.flags and not asleep else not asleep
        body |= _tools(request, card, granted)
        return Call("/api/chat", body, warnings=tuple(granted.warnings))

    def fold(self, card: ModelCard) -> Fold:  # noqa: ARG002 - this wire has no quirks in its answers
        return Fold()

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return classify(complaint(status, headers, body))

    def render_embed(self, texts: Sequence[str], model: str) -> Call:
        return Call("/api/embed", {"model": model, "input": list(texts)})

    def parse_embed(self, body: Any) -> Embeddings:
        answer = mapping(body)
        rows = items(answer.get("embeddings"))
        if not rows:
            raise Malformed("The provider sent no embeddings.")
        return Embeddings(
            tuple(vector(row) for row in rows),
            usage(answer.get("prompt_eval_count"), 0),
            scrub(string(answer.get("model")))[:200],
        )

    def render_list(self) -> Call:
        return Call("/api/tags", method="GET")

    def parse_list(self, body: Any) -> tuple[Sequence[Listed], str | None]:
        found = mapping(body).get("models")
        if not isinstance(found, list):
            raise Malformed("The provider sent a model list that is none.")
        ids = (string(entry.get("model")) or string(entry.get("name")) for entry in objects(found))
        return tuple(Listed(scrub(model)[:200]) for model in ids if model), None


dialect = Ollama()


def _options(request: Request, granted: Granted) -> dict[str, Any]:
    options = dict(granted.values)
    if "stop" in options:
        options["stop"] = list(request.stop)
    if request.max_tokens is not None:
        options["num_predict"] = request.max_tokens
    return options


def _window(request: Request, card: ModelCard) -> int:
    """The window to load the model with: all of a small one, else the power of two the request surely fits in.

    Steps instead of exact sizes, because every change of the window reloads the model.
    """
    if card.context_window <= _SMALL_WINDOW:
        return card.context_window
    parts = [part for message in request.messages for part in message.parts]
    pieces = [request.system, *(getattr(part, "text", "") or getattr(part, "arguments", "") for part in parts)]
    letters = sum(len(piece.encode("utf-8", "replace")) for piece in pieces)
    letters += sum(len(str(tool.parameters)) + len(tool.description) for tool in request.tools)
    images = sum(isinstance(part, Image) for part in parts)
    wanted = letters // 3 + images * _IMAGE_TOKENS + (request.max_tokens or _OUTPUT_RESERVE)
    return min(card.context_window, max(_LEAST_WINDOW, 1 << wanted.bit_length()))


def _messages(request: Request, system: str) -> list[dict[str, Any]]:
    names = names_of_calls(request.messages)
    written: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    for message in request.messages:
        if found := results(message):
            written += [
                {"role": "tool", "content": result.text, "tool_name": result.name or names.get(result.id, "")}
                for result in found
            ]
        else:
            written.append(_turn(message))
    return written


def _turn(message: Message) -> dict[str, Any]:
    text = "".join(part.text for part in message.parts if isinstance(part, Text))
    turn: dict[str, Any] = {"role": message.role, "content": text}
    if images := [_image(part) for part in message.parts if isinstance(part, Image)]:
        turn["images"] = images
    if calls := [part for part in message.parts if isinstance(part, ToolCall)]:
        turn["tool_calls"] = [{"function": {"name": c.name, "arguments": arguments_of(c)}} for c in calls]
        if thoughts := "".join(part.text for part in message.parts if isinstance(part, Reasoning)):
            turn["thinking"] = thoughts
    return turn


def _image(image: Image) -> str:
    if image.url:
        raise NotHere("Ollama does not fetch pictures: send the picture's bytes instead of its URL.")
    return base64_of(image)


def _tools(request: Request, card: ModelCard, granted: Granted) -> dict[str, Any]:
    if not request.tools or granted.tool_choice == "none":
        return {}
    if granted.tool_choice != "auto":
        granted.warnings.append(f"tool_choice was not sent: {card.id} cannot be forced to call a tool")
    return {"tools": [_tool(tool) for tool in request.tools]}


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}
