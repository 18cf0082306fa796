"""Cohere's v2 chat and embeddings, and its v1 model list and tokenizer."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...types import Answer, FinishReason, Listed, Message, Request, Text, ToolCall, ToolResult
from . import Asked, Frames, Kind
from ._reading import event, json_text, parts, rows, spoken, table, text, texts, tool, turn, whole_number

_FINISH: Mapping[FinishReason, str] = {
    "stop": "COMPLETE",
    "length": "MAX_TOKENS",
    "tool_calls": "TOOL_CALL",
    "content_filter": "ERROR_TOXIC",
}


class Cohere:
    """`POST /v2/chat`, `POST /v2/embed`, `POST /v1/tokenize`, `GET /v1/models`."""

    prefix = "/cohere"
    media = "text/event-stream"

    def route(self, method: str, path: str) -> Kind | None:
        routes: Mapping[tuple[str, str], Kind] = {
            ("POST", "/v2/chat"): "chat",
            ("POST", "/v2/embed"): "embed",
            ("POST", "/v1/tokenize"): "count",
            ("GET", "/v1/models"): "list",
        }
        return routes.get((method, path))

    def asked(self, path: str, body: Mapping[str, Any]) -> Asked:
        if path == "/v1/tokenize":
            plain = Request((Message("user", (Text(text(body.get("text"))),)),))
            return Asked(text(body.get("model")), plain, stream=False)
        messages = rows(body.get("messages"))
        wanted = table(body.get("response_format"))
        request = Request(
            messages=tuple(_turn(each) for each in messages if each.get("role") != "system"),
            system="\n".join(spoken(each.get("content")) for each in messages if each.get("role") == "system"),
            max_tokens=whole_number(body.get("max_tokens")),
            stop=texts(body.get("stop_sequences")),
            schema=table(wanted.get("json_schema")) or ({} if wanted.get("type") == "json_object" else None),
            tools=tuple(tool(table(entry.get("function"))) for entry in rows(body.get("tools"))),
            tool_choice=text(body.get("tool_choice")).lower() or "auto",
            reasoning="medium" if table(body.get("thinking")).get("type") == "enabled" else None,
        )
        return Asked(text(body.get("model")), request, body.get("stream") is True)

    def whole(self, answer: Answer) -> Any:
        content: list[dict[str, Any]] = [{"type": "thinking", "thinking": each.text} for each in answer.reasoning]
        if answer.text or not answer.tool_calls:
            content.append({"type": "text", "text": answer.text})
        message: dict[str, Any] = {"role": "assistant", "content": content}
        if answer.tool_calls:
            message["tool_calls"] = [_call(call) for call in answer.tool_calls]
        return {"id": "sim", "finish_reason": _finish(answer), "message": message, "usage": _usage(answer)}

    def frames(self, answer: Answer, parts: Sequence[str]) -> Frames:
        head = [_event("message-start", delta={"message": {"role": "assistant"}}, id="sim")]
        for index, each in enumerate(answer.reasoning):
            head += _content(index, "thinking", [each.text])
        begin, *said, end = _content(len(answer.reasoning), "text", parts)
        tail = [end]
        for index, call in enumerate(answer.tool_calls):
            tail.append(_event("tool-call-start", index=index, delta={"message": {"tool_calls": _call(call, "")}}))
            arguments = {"function": {"arguments": call.arguments}}
            tail.append(_event("tool-call-delta", index=index, delta={"message": {"tool_calls": arguments}}))
            tail.append(_event("tool-call-end", index=index))
        if answer.finish_reason:
            tail.append(_event("message-end", delta={"finish_reason": _finish(answer), "usage": _usage(answer)}))
            tail.append(event(b"[DONE]"))
        return Frames([*head, begin], said, tail)

    def hollow(self) -> Any:
        return {"id": "sim", "finish_reason": "COMPLETE"}

    def failure(self, status: int, code: str) -> Any:
        return {"id": "sim", "message": f"simulated failure {status}", "error_type": code}

    def embedding(self, path: str, body: Mapping[str, Any]) -> tuple[str, Sequence[str]]:  # noqa: ARG002
        return text(body.get("model")), texts(body.get("texts"))

    def embedded(self, path: str, model: str, vectors: Sequence[Sequence[float]], tokens: int) -> Any:  # noqa: ARG002 - one path, and it names no model
        meta = {"billed_units": {"input_tokens": tokens}}
        return {"id": "sim", "embeddings": {"float": [list(vector) for vector in vectors]}, "meta": meta}

    def listing(self, models: Sequence[Listed]) -> Any:
        data = [
            {
                "name": each.id,
                "endpoints": ["embed" if each.id == "embed" else "chat"],
                "context_length": each.context_window,
            }
            for each in models
        ]
        return {"models": data}

    def counted(self, tokens: int) -> Any:
        return {"tokens": list(range(tokens)), "token_strings": []}


def _turn(message: Mapping[str, Any]) -> Message:
    if message.get("role") == "tool":
        return Message("tool", (ToolResult(text(message.get("tool_call_id")), _told(message.get("content"))),))
    calls = [(each, table(each.get("function"))) for each in rows(message.get("tool_calls"))]
    wished = [
        ToolCall(text(each.get("id")), text(made.get("name")), json_text(made.get("arguments"))) for each, made in calls
    ]
    return turn(text(message.get("role")), [*parts(message.get("content")), *wished])


def _told(content: Any) -> str:
    """A tool's words: text, or documents that hold it under `data`."""
    return spoken(content) or "".join(json_text(table(each.get("document")).get("data")) for each in rows(content))


def _content(index: int, kind: str, said: Sequence[str]) -> list[bytes]:
    """A content block as its start, its deltas and its end."""

    def delta(words: str, **more: str) -> dict[str, Any]:
        return {"message": {"content": {**more, kind: words}}}

    return [
        _event("content-start", index=index, delta=delta("", type=kind)),
        *(_event("content-delta", index=index, delta=delta(piece)) for piece in said),
        _event("content-end", index=index),
    ]


def _event(kind: str, **more: Any) -> bytes:
    return event({"type": kind, **more}, kind)


def _call(call: ToolCall, arguments: str | None = None) -> dict[str, Any]:
    written = call.arguments if arguments is None else arguments
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": written}}


def _finish(answer: Answer) -> str | None:
    return _FINISH.get(answer.finish_reason, "ERROR") if answer.finish_reason else None


def _usage(answer: Answer) -> dict[str, Any]:
    counts = {"input_tokens": answer.usage.input, "output_tokens": answer.usage.output}
    return {"billed_units": counts, "tokens": counts}


wire = Cohere()
