"""Anthropic's `POST /v1/messages`, versions 2026-10-21 (the default) and 2023-06-01 (flag `version_2023`).

The newer version refuses temperature, top_p and top_k for every model. Sources: anthropic SDK 2.11, recorded
exchanges, platform.claude.com/docs/en/api/migration-2026-10-21, guide providers §4.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import Malformed, NotHere, ProviderError
from ..types import (
    Answer,
    Delta,
    Image,
    Listed,
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
from . import Call
from ._draft import NOTHING, CallDraft, TypedFold, sign, signed, usage
from ._errors import classify, complaint
from ._json import count, dump, mapping, objects, scrub, string
from ._write import (
    LEAST_BUDGET,
    SAMPLING,
    Granted,
    Wish,
    arguments_of,
    base64_of,
    budget,
    grant,
    safe_id,
    system_text,
    tighten,
    with_words,
)

NAME = "anthropic"
VERSION, OLD_VERSION = "2026-10-21", "2023-06-01"
_LACKS: tuple[Wish, ...] = ("seed", "frequency_penalty", "presence_penalty")
_MOST_HINTS = 4  # cache breakpoints per request
_COUNTED = ("model", "messages", "system", "tools", "tool_choice", "thinking", "output_config")
_EPHEMERAL = {"type": "ephemeral"}


class Fold(TypedFold):
    """Folds content blocks; usage of `message_start` is overwritten by the cumulative one of `message_delta`."""

    def __init__(self) -> None:
        read: Mapping[str, Callable[[Any], tuple[Delta, ...]]] = {
            "content_block_delta": self._delta,
            "content_block_start": self._block,
            "content_block_stop": self._closed,
            "message_start": self._message,
            "message_delta": self._stopped,
            "message_stop": self._finished,
            "error": self._error,
        }
        super().__init__(read)
        self._usage: dict[str, Any] = {}
        self._counted = False  # the final usage came, not only the one the stream began with

    def whole(self, body: Any) -> Sequence[Delta]:
        message = self._draft.read_whole(body)
        if message.get("error"):
            raise self._draft.failure(message)
        if not isinstance(message.get("content"), list):
            raise Malformed("The provider sent a message without content.")
        self._message({"message": message})
        deltas: list[Delta] = []
        for index, block in enumerate(objects(message.get("content"))):
            event = {"index": index, "content_block": block}
            deltas += (*self._block(event), *self._closed(event))
        self._stopped({"delta": message, "usage": message.get("usage")})
        self.done = True
        return deltas

    def answer(self) -> Answer:
        return self._draft.answer(_usage(self._usage, final=self._counted))

    def _message(self, event: Any) -> tuple[Delta, ...]:
        message = mapping(event.get("message"))
        self._draft.model = string(message.get("model"))
        self._draft.request_id = string(message.get("id"))
        self._usage |= mapping(message.get("usage"))
        return NOTHING

    def _block(self, event: Any) -> tuple[Delta, ...]:
        index, block = _place(event), mapping(event.get("content_block"))
        match block.get("type"):
            case "text":
                return self._draft.say(block.get("text"))
            case "thinking":
                self._draft.sign(index, sign(NAME, block.get("signature")))
                return self._draft.think(index, block.get("thinking"))
            case "redacted_thinking":
                self._draft.sign(index, sign(NAME, block.get("data")), redacted=True)
                return (Delta("alive"),)
            case "tool_use":
                return self._call(index, block)
            case _:
                return (Delta("alive"),)  # a tool the server runs itself

    def _call(self, index: int, block: Mapping[str, Any]) -> tuple[Delta, ...]:
        given = block.get("input")
        arguments = dump(given) if given else ""  # a stream begins with {} and brings the pieces after it
        self._draft.calls[index] = CallDraft(string(block.get("id")), string(block.get("name")), arguments)
        return (Delta("tool", scrub(arguments)),)

    def _delta(self, event: Any) -> tuple[Delta, ...]:
        delta = event.get("delta")
        if delta.__class__ is not dict:
            return NOTHING
        text = delta.get("text")
        if text:
            return self._draft.say(text)
        index = _place(event)
        if piece := delta.get("thinking"):
            return self._draft.think(index, piece)
        if piece := string(delta.get("partial_json")):
            return self._draft.argue(index, piece)
        if signature := delta.get("signature"):
            self._draft.sign(index, sign(NAME, signature))
            return (Delta("alive"),)
        return NOTHING

    def _closed(self, event: Any) -> tuple[Delta, ...]:
        call = self._draft.calls.get(_place(event))
        if call is not None and not call.arguments:
            call.arguments.append("{}")
        return NOTHING

    def _stopped(self, event: Any) -> tuple[Delta, ...]:
        delta = mapping(event.get("delta"))
        self._draft.finish_raw = string(delta.get("stop_reason")) or self._draft.finish_raw
        if reported := mapping(event.get("usage")):
            self._usage |= {name: value for name, value in reported.items() if value is not None}
            self._counted = True
        if explanation := string(mapping(delta.get("stop_details")).get("explanation")):
            self._draft.refusal.append(explanation)
        return NOTHING

    def _finished(self, _: Any) -> tuple[Delta, ...]:
        self.done = True
        return NOTHING

    def _error(self, event: Any) -> tuple[Delta, ...]:
        raise self._draft.failure(event)


def _place(event: Any) -> int:
    place = event.get("index")
    return place if isinstance(place, int) else 0


def _usage(raw: Mapping[str, Any], *, final: bool) -> Usage | None:
    """Input is what was sent anew, plus cache reads, plus cache writes: Anthropic counts the three apart."""
    given = raw.get("input_tokens")
    if given is None and raw.get("output_tokens") is None:
        return None
    read, written = (raw.get(f"cache_{kind}_input_tokens") or 0 for kind in ("read", "creation"))
    tokens = [count(part) for part in (given, read, written)]
    whole = sum(part for part in tokens if part is not None) if None not in tokens else -1  # absurd stays absurd
    thinking = mapping(raw.get("output_tokens_details")).get("thinking_tokens")
    produced = raw.get("output_tokens") if final else None
    return usage(whole, produced, cached=read, write=written, reasoning=thinking)


class Anthropic:
    """The dialect `anthropic`. The version of a call stands in the call's own headers."""

    name = NAME
    framing = "sse"

    def headers(self, key: str | None) -> Mapping[str, str]:
        return {"anthropic-version": VERSION, **({"x-api-key": key} if key else {})}

    def render(self, request: Request, card: ModelCard, *, stream: bool) -> Call:
        """Raises NotHere for a conversation that ends with the assistant at a model that refuses that."""
        body, granted = _body(request, card)
        if stream:
            body["stream"] = True
        return Call("/v1/messages", body, _version(card), warnings=tuple(granted.warnings))

    def fold(self, card: ModelCard) -> Fold:  # noqa: ARG002 - this wire has no quirks in its answers
        return Fold()

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return classify(complaint(status, headers, body))

    def render_list(self) -> Call:
        return Call("/v1/models?limit=1000", method="GET")

    def parse_list(self, body: Any) -> tuple[Sequence[Listed], str | None]:
        page = mapping(body)
        if not isinstance(page.get("data"), list):
            raise Malformed("The provider sent a model list that is none.")
        last = string(page.get("last_id"))
        following = f"/v1/models?limit=1000&after_id={safe_id(last)}" if page.get("has_more") is True and last else None
        return tuple(_listed(entry) for entry in objects(page["data"]) if string(entry.get("id"))), following

    def render_count(self, request: Request, card: ModelCard) -> Call:
        body, _ = _body(request, card)
        return Call(
            "/v1/messages/count_tokens", {name: body[name] for name in _COUNTED if name in body}, _version(card)
        )

    def parse_count(self, body: Any) -> int:
        if (tokens := count(mapping(body).get("input_tokens"))) is None:
            raise Malformed("The provider sent no token count.")
        return tokens


dialect = Anthropic()


def _version(card: ModelCard) -> Mapping[str, str]:
    return {"anthropic-version": OLD_VERSION} if "version_2023" in card.flags else {}


def _body(request: Request, card: ModelCard) -> tuple[dict[str, Any], Granted]:
    lacks = _LACKS if "version_2023" in card.flags else (*_LACKS, *SAMPLING)
    granted = grant(request, card, lacks)
    turns = _turns(request)
    if turns and turns[-1]["role"] == "assistant" and "no_prefill" in card.flags:
        raise NotHere(f"{card.id} refuses a conversation that ends with the assistant: end it with a user turn.")
    most = request.max_tokens if request.max_tokens is not None else card.max_output
    body: dict[str, Any] = {"model": card.id, "max_tokens": most, "messages": turns}
    schema, native = _schema(request, card)
    if system := with_words(system_text(request), None if native else request.schema):
        body["system"] = _system(request, system)
    if native:
        body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    if request.tools:
        body |= _tools(request, granted)
    _think(body, granted, card, most)
    return body | _settings(granted), granted


def _settings(granted: Granted) -> dict[str, Any]:
    values = dict(granted.values)
    if "stop" in values:
        values["stop_sequences"] = list(values.pop("stop"))
    if values.get("temperature", 0) > 1:
        values["temperature"] = 1.0
        granted.warnings.append("temperature became 1.0: Claude takes 0 to 1")
    return values


def _schema(request: Request, card: ModelCard) -> tuple[Mapping[str, Any] | None, bool]:
    """Structured outputs want every object closed; what cannot be closed goes into the instructions."""
    if request.schema is None or "json" not in card.capabilities:
        return None, False
    return tighten(request.schema)


def _think(body: dict[str, Any], granted: Granted, card: ModelCard, most: int) -> None:
    """Write the effort in the form this generation takes. A forced tool and thinking exclude each other."""
    effort = granted.effort
    if effort is None:
        return
    if effort != "none" and granted.tool_choice not in ("auto", "none"):
        granted.warnings.append("reasoning was not sent: it cannot be combined with a forced tool choice")
        return
    if "budget_thinking" in card.flags:
        _buy_thinking(body, granted, most)
    elif effort == "none":
        body["thinking"] = {"type": "between_tools" if "thinking_between_tools" in card.flags else "disabled"}
    else:
        body["thinking"] = {"type": "adaptive", "display": "summarized"}
        body["output_config"] = {**body.get("output_config", {}), "effort": effort}


def _buy_thinking(body: dict[str, Any], granted: Granted, most: int) -> None:
    if granted.effort in (None, "none"):
        return  # off unless asked for
    if most <= LEAST_BUDGET:
        granted.warnings.append(f"reasoning was not sent: it needs more than {LEAST_BUDGET} output tokens")
        return
    body["thinking"] = {"type": "enabled", "budget_tokens": min(budget(granted.effort, most), most - 1)}
    for name in ("temperature", "top_p"):  # thinking fixes them
        if granted.values.pop(name, None) is not None:
            granted.warnings.append(f"{name} was not sent: it cannot be combined with thinking")


def _system(request: Request, text: str) -> str | list[dict[str, Any]]:
    hinted = request.cache_system or any(
        isinstance(part, Text) and part.cache_until_here
        for message in request.messages
        if message.role == "system"
        for part in message.parts
    )
    return [{"type": "text", "text": text, "cache_control": _EPHEMERAL}] if hinted else text


def _turns(request: Request) -> list[dict[str, Any]]:
    """User and assistant turns; neighbours of one role are joined, so that all results of a step stand together."""
    turns: list[dict[str, Any]] = []
    for message in request.messages:
        role = "assistant" if message.role == "assistant" else "user"
        blocks = [block for part in message.parts for block in _block(part)] if message.role != "system" else []
        if turns and blocks and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    hinted = [block for turn in turns for block in turn["content"] if "cache_control" in block]
    for block in hinted[: -(_MOST_HINTS - 1)]:  # one stays free for the system prompt
        del block["cache_control"]
    return turns


def _block(part: Part) -> list[dict[str, Any]]:
    match part:
        case Text():
            hint = {"cache_control": _EPHEMERAL} if part.cache_until_here else {}
            return [{"type": "text", "text": part.text, **hint}] if part.text else []  # empty blocks are refused
        case Image():
            return [{"type": "image", "source": _source(part)}]
        case ToolCall():
            return [{"type": "tool_use", "id": safe_id(part.id), "name": part.name, "input": arguments_of(part)}]
        case ToolResult():
            failed = {"is_error": True} if part.is_error else {}
            return [{"type": "tool_result", "tool_use_id": safe_id(part.id), "content": part.text, **failed}]
        case Reasoning():
            return _thinking(part)


def _source(image: Image) -> dict[str, str]:
    if image.url:
        return {"type": "url", "url": image.url}
    return {"type": "base64", "media_type": image.media_type, "data": base64_of(image)}


def _thinking(part: Reasoning) -> list[dict[str, Any]]:
    """Only blocks this provider signed: unsigned thinking of others is no use to it."""
    raw = signed(NAME, part.signature)
    if raw is None:
        return []
    if part.redacted:
        return [{"type": "redacted_thinking", "data": raw}]
    return [{"type": "thinking", "thinking": part.text, "signature": raw}]


def _tools(request: Request, granted: Granted) -> dict[str, Any]:
    words = {"auto": "auto", "none": "none", "required": "any"}
    choice: dict[str, Any] = {"type": words.get(granted.tool_choice, "tool")}
    if choice["type"] == "tool":
        choice["name"] = granted.tool_choice
    if not request.parallel_tools and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    chosen = {"tool_choice": choice} if len(choice) > 1 or choice["type"] != "auto" else {}
    return {"tools": [_tool(tool) for tool in request.tools], **chosen}


def _tool(tool: Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}


def _listed(entry: Mapping[str, Any]) -> Listed:
    """Limits and end. The capability tree says nothing of sampling, so it may not replace what the catalogue knows."""
    return Listed(
        id=scrub(entry["id"])[:200],
        context_window=count(entry.get("max_input_tokens")),
        max_output=count(entry.get("max_tokens")),
        retires=string(entry.get("retires_at"))[:10] or None,
    )
