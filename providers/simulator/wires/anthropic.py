"""Anthropic's Messages, token count and model list; both API versions take and give the same here."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ...types import Answer, FinishReason, Listed, Message, Part, Request, ToolCall, ToolResult
from . import Asked, Frames, Kind
from ._reading import EFFORTS, event, json_text, parts, rows, spoken, table, text, texts, tool, turn, whole_number

_STOPS: Mapping[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
_TYPES = {401: "authentication_error", 402: "billing_error", 404: "not_found_error", 429: "rate_limit_error"}


class Anthropic:
    """`POST /v1/messages`, `POST /v1/messages/count_tokens`, `GET /v1/models`."""

    prefix = "/anthropic"
    media = "text/event-stream"

    def route(self, method: str, path: str) -> Kind | None:
        routes: Mapping[tuple[str, str], Kind] = {
            ("POST", "/v1/messages"): "chat",
            ("POST", "/v1/messages/count_tokens"): "count",
            ("GET", "/v1/models"): "list",
        }
        return routes.get((method, path))

    def asked(self, path: str, body: Mapping[str, Any]) -> Asked:  # noqa: ARG002 - other wires name the model in the path
        choice, config = table(body.get("tool_choice")), table(body.get("output_config"))
        named = {"any": "required", "tool": text(choice.get("name"))}
        request = Request(
            messages=tuple(_turn(message) for message in rows(body.get("messages"))),
            system=spoken(body.get("system")),
            max_tokens=whole_number(body.get("max_tokens")),
            stop=texts(body.get("stop_sequences")),
            schema=table(table(config.get("format")).get("schema")) or None,
            tools=tuple(tool(entry, "input_schema") for entry in rows(body.get("tools"))),
            tool_choice=named.get(text(choice.get("type")), text(choice.get("type")) or "auto"),
            parallel_tools=choice.get("disable_parallel_tool_use") is not True,
            reasoning=_effort(body, config),
        )
        return Asked(text(body.get("model")), request, body.get("stream") is True)

    def whole(self, answer: Answer) -> Any:
        return {**_message(answer), "content": _blocks(answer, answer.text)}

    def frames(self, answer: Answer, parts: Sequence[str]) -> Frames:
        begun: dict[str, Any] = {**_message(answer), "content": [], "stop_reason": None}
        begun["usage"] = {**begun["usage"], "output_tokens": 1}
        head = [_event({"type": "message_start", "message": begun}), _event({"type": "ping"})]
        said, tail = list[bytes](), list[bytes]()
        for index, block in enumerate(_blocks(answer, answer.text)):
            begin, *middle, end = _spread(index, block, parts)
            match block["type"]:
                case "thinking":
                    head += [begin, *middle, end]
                case "text":
                    head.append(begin)
                    said, tail = middle, [end]
                case _:
                    tail += [begin, *middle, end]
        if answer.finish_reason:
            delta = {"stop_reason": _STOPS.get(answer.finish_reason), "stop_sequence": None}
            tail.append(_event({"type": "message_delta", "delta": delta, "usage": _usage(answer)}))
            tail.append(_event({"type": "message_stop"}))
        return Frames(head, said, tail)

    def hollow(self) -> Any:
        return {"id": "msg_sim", "type": "message", "role": "assistant", "model": "sim"}

    def failure(self, status: int, code: str) -> Any:  # noqa: ARG002 - this wire has its own names
        kind = _TYPES.get(status) or ("overloaded_error" if status in (503, 529) else "api_error")
        kind = "invalid_request_error" if status in (400, 413, 422) else kind
        return {
            "type": "error",
            "error": {"type": kind, "message": f"Simulated failure {status}."},
            "request_id": "req_sim",
        }

    def listing(self, models: Sequence[Listed]) -> Any:
        data = [
            {
                "type": "model",
                "id": each.id,
                "display_name": each.id,
                "max_input_tokens": each.context_window,
                "max_tokens": each.max_output,
            }
            for each in models
        ]
        return {"data": data, "has_more": False, "first_id": models[0].id, "last_id": models[-1].id}

    def counted(self, tokens: int) -> Any:
        return {"input_tokens": tokens}


def _effort(body: Mapping[str, Any], config: Mapping[str, Any]) -> Any:
    thinking = table(body.get("thinking")).get("type")
    if thinking in ("adaptive", "enabled"):
        return EFFORTS.get(text(config.get("effort")), "medium")
    return None


def _turn(message: Mapping[str, Any]) -> Message:
    content = message.get("content")
    results = [block for block in rows(content) if block.get("type") == "tool_result"]
    if results:
        return Message(
            "tool", tuple(ToolResult(text(each.get("tool_use_id")), spoken(each.get("content"))) for each in results)
        )
    calls: list[Part] = [
        ToolCall(text(each.get("id")), text(each.get("name")), json_text(each.get("input")))
        for each in rows(content)
        if each.get("type") == "tool_use"
    ]
    return turn(text(message.get("role")), [*parts(content), *calls])


def _blocks(answer: Answer, said: str) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": thought.text, "signature": "c2ltdWxhdGVk"} for thought in answer.reasoning
    ]
    if said or not (answer.tool_calls or answer.refusal):
        blocks.append({"type": "text", "text": said})
    calls = [(call, json.loads(call.arguments)) for call in answer.tool_calls]
    return [*blocks, *({"type": "tool_use", "id": call.id, "name": call.name, "input": made} for call, made in calls)]


def _spread(index: int, block: Mapping[str, Any], said: Sequence[str]) -> list[bytes]:
    """A block as its start, its deltas and its stop."""
    empty: dict[str, Any]
    match block["type"]:
        case "text":
            empty, deltas = {**block, "text": ""}, [{"type": "text_delta", "text": piece} for piece in said]
        case "thinking":
            empty = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": block["thinking"]}]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        case _:
            empty = {**block, "input": {}}
            written = json.dumps(block["input"])
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", written)]
    return [
        _event({"type": "content_block_start", "index": index, "content_block": empty}),
        *(_event({"type": "content_block_delta", "index": index, "delta": delta}) for delta in deltas),
        _event({"type": "content_block_stop", "index": index}),
    ]


def _event(body: Mapping[str, Any]) -> bytes:
    return event(body, body["type"])


def _message(answer: Answer) -> dict[str, Any]:
    return {
        "id": "msg_sim",
        "type": "message",
        "role": "assistant",
        "model": answer.model_returned,
        "content": [],
        "stop_reason": _STOPS.get(answer.finish_reason) if answer.finish_reason else None,
        "stop_sequence": None,
        "usage": _usage(answer),
    }


def _usage(answer: Answer) -> dict[str, Any]:
    usage = answer.usage
    return {
        "input_tokens": usage.input - usage.cached_input - usage.cache_write,
        "cache_read_input_tokens": usage.cached_input,
        "cache_creation_input_tokens": usage.cache_write,
        "output_tokens": usage.output,
    }


wire = Anthropic()
