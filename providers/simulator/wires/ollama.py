"""Ollama's native chat (line-delimited JSON), embeddings and tags."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ...types import Answer, FinishReason, Image, Listed, Message, Part, Request, Text, ToolCall, ToolResult
from . import Asked, Frames, Kind
from ._reading import EFFORTS, json_text, rows, table, text, texts, tool, turn, whole_number

_AT = "2026-11-01T00:00:00Z"
_FINISH: Mapping[FinishReason, str] = {"length": "length"}


class Ollama:
    """`POST /api/chat`, `POST /api/embed`, `GET /api/tags`. A stream unless told otherwise."""

    prefix = "/ollama"
    media = "application/x-ndjson"

    def route(self, method: str, path: str) -> Kind | None:
        routes: Mapping[tuple[str, str], Kind] = {
            ("POST", "/api/chat"): "chat",
            ("POST", "/api/embed"): "embed",
            ("GET", "/api/tags"): "list",
        }
        return routes.get((method, path))

    def asked(self, path: str, body: Mapping[str, Any]) -> Asked:  # noqa: ARG002 - other wires name the model in the path
        options, wanted, think = table(body.get("options")), body.get("format"), body.get("think")
        told = [text(each.get("content")) for each in rows(body.get("messages")) if each.get("role") == "system"]
        request = Request(
            messages=tuple(_turn(each) for each in rows(body.get("messages")) if each.get("role") != "system"),
            system="\n".join(told),
            max_tokens=whole_number(options.get("num_predict")),
            stop=texts(options.get("stop")),
            schema=table(wanted) or ({} if wanted == "json" else None),
            tools=tuple(tool(table(entry.get("function"))) for entry in rows(body.get("tools"))),
            reasoning="medium" if think is True else EFFORTS.get(text(think)),
        )
        return Asked(text(body.get("model")), request, body.get("stream") is not False)

    def whole(self, answer: Answer) -> Any:
        thought = "".join(each.text for each in answer.reasoning)
        message: dict[str, Any] = {
            "content": answer.text or answer.refusal or "",
            **({"thinking": thought} if thought else {}),
        }
        if answer.tool_calls:
            message["tool_calls"] = _calls(answer)
        return {**_said(answer, message), **_end(answer)}

    def frames(self, answer: Answer, parts: Sequence[str]) -> Frames:
        head = [_line(_said(answer, {"content": "", "thinking": each.text})) for each in answer.reasoning]
        tail = [_line(_said(answer, {"content": "", "tool_calls": _calls(answer)}))] if answer.tool_calls else []
        if answer.refusal:
            tail.append(_line(_said(answer, {"content": answer.refusal})))
        if answer.finish_reason:
            tail.append(_line({**_said(answer, {"content": ""}), **_end(answer)}))
        return Frames(head, [_line(_said(answer, {"content": part})) for part in parts], tail)

    def hollow(self) -> Any:
        return {"model": "sim", "created_at": _AT, "done": True, "done_reason": "stop"}

    def failure(self, status: int, code: str) -> Any:  # noqa: ARG002 - this wire has words only
        return {"error": "model not found" if status == 404 else f"simulated failure {status}"}

    def embedding(self, path: str, body: Mapping[str, Any]) -> tuple[str, Sequence[str]]:  # noqa: ARG002
        return text(body.get("model")), texts(body.get("input"))

    def embedded(self, path: str, model: str, vectors: Sequence[Sequence[float]], tokens: int) -> Any:  # noqa: ARG002 - one path, one shape
        return {"model": model, "embeddings": [list(vector) for vector in vectors], "prompt_eval_count": tokens}

    def listing(self, models: Sequence[Listed]) -> Any:
        return {"models": [{"name": each.id, "model": each.id, "modified_at": _AT} for each in models]}


def _turn(message: Mapping[str, Any]) -> Message:
    said = text(message.get("content"))
    if message.get("role") == "tool":
        return Message("tool", (ToolResult("", said, text(message.get("tool_name"))),))
    found: list[Part] = [Text(said), *(Image("image/png", data=b"") for _ in texts(message.get("images")))]
    for call in rows(message.get("tool_calls")):
        function = table(call.get("function"))
        found.append(ToolCall(text(call.get("id")), text(function.get("name")), json_text(function.get("arguments"))))
    return turn(text(message.get("role")), found)


def _calls(answer: Answer) -> list[dict[str, Any]]:
    return [
        {"id": call.id, "function": {"name": call.name, "arguments": json.loads(call.arguments)}}
        for call in answer.tool_calls
    ]


def _said(answer: Answer, message: Mapping[str, Any]) -> dict[str, Any]:
    told = {"role": "assistant", **message}
    return {"model": answer.model_returned, "created_at": _AT, "message": told, "done": False}


def _end(answer: Answer) -> dict[str, Any]:
    if answer.finish_reason is None:
        return {}
    counts = {"prompt_eval_count": answer.usage.input, "eval_count": answer.usage.output}
    return {
        "done": True,
        "done_reason": _FINISH.get(answer.finish_reason, "stop"),
        "total_duration": 1_000_000,
        **counts,
    }


def _line(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


wire = Ollama()
