"""OpenAI's Chat Completions, embeddings and model list."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...types import Answer, FinishReason, Listed, Message, Request, ToolCall, ToolResult
from . import Asked, Frames, Kind
from ._reading import EFFORTS, event, json_text, parts, rows, spoken, table, text, texts, tool, turn, whole_number

_FINISH: Mapping[FinishReason, str] = {"stop": "stop", "length": "length", "tool_calls": "tool_calls"}
CREATED = 1_790_000_000  # a fixed time: answers are the same whenever they are asked for


class OpenAiChat:
    """`POST /chat/completions`, `POST /embeddings`, `GET /models`."""

    prefix = "/openai/v1"
    media = "text/event-stream"

    def route(self, method: str, path: str) -> Kind | None:
        routes: Mapping[tuple[str, str], Kind] = {
            ("POST", "/chat/completions"): "chat",
            ("POST", "/embeddings"): "embed",
            ("GET", "/models"): "list",
        }
        return routes.get((method, path))

    def asked(self, path: str, body: Mapping[str, Any]) -> Asked:  # noqa: ARG002 - other wires name the model in the path
        told, turns = list[str](), list[Message]()
        for message in rows(body.get("messages")):
            role = text(message.get("role"))
            if role in ("system", "developer"):
                told.append(spoken(message.get("content")))
            elif role == "tool":
                turns.append(_result(message))
            else:
                turns.append(turn(role, [*parts(message.get("content")), *_calls(message)]))
        return Asked(text(body.get("model")), _request(body, "\n".join(told), turns), body.get("stream") is True)

    def whole(self, answer: Answer) -> Any:
        message: dict[str, Any] = {"role": "assistant", "content": answer.text or None, "refusal": answer.refusal}
        if answer.text == "" and not answer.tool_calls and answer.refusal is None:
            message["content"] = ""
        if answer.reasoning:
            message["reasoning_content"] = "".join(thought.text for thought in answer.reasoning)
        if answer.tool_calls:
            message["tool_calls"] = [_call(call) for call in answer.tool_calls]
        choice = {"index": 0, "message": message, "finish_reason": _finish(answer)}
        return {**_envelope(answer, "chat.completion"), "choices": [choice], "usage": _usage(answer)}

    def frames(self, answer: Answer, parts: Sequence[str]) -> Frames:
        head = [_chunk(answer, {"role": "assistant", "content": ""})]
        head += [_chunk(answer, {"reasoning_content": thought.text}) for thought in answer.reasoning]
        tail = [
            _chunk(answer, {"tool_calls": [{"index": index, **_call(call)}]})
            for index, call in enumerate(answer.tool_calls)
        ]
        if answer.refusal:
            tail.append(_chunk(answer, {"refusal": answer.refusal}))
        if answer.finish_reason:
            tail.append(_chunk(answer, {}, _finish(answer)))
            last: dict[str, Any] = {
                **_envelope(answer, "chat.completion.chunk"),
                "choices": [],
                "usage": _usage(answer),
            }
            tail.append(event(last))
        tail.append(event(b"[DONE]"))
        return Frames(head, [_chunk(answer, {"content": part}) for part in parts], tail)

    def hollow(self) -> Any:
        return {"id": "sim", "object": "chat.completion", "model": "sim", "choices": []}

    def failure(self, status: int, code: str) -> Any:
        return {"error": {"message": f"Simulated failure {status}.", "type": code, "param": None, "code": code}}

    def embedding(self, path: str, body: Mapping[str, Any]) -> tuple[str, Sequence[str]]:  # noqa: ARG002
        return text(body.get("model")), texts(body.get("input"))

    def embedded(self, path: str, model: str, vectors: Sequence[Sequence[float]], tokens: int) -> Any:  # noqa: ARG002 - one path, one shape
        data = [{"object": "embedding", "index": at, "embedding": list(vector)} for at, vector in enumerate(vectors)]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "model": model, "data": data, "usage": usage}

    def listing(self, models: Sequence[Listed]) -> Any:
        data = [{"id": each.id, "object": "model", "created": CREATED, "owned_by": "simulator"} for each in models]
        return {"object": "list", "data": data}


def _request(body: Mapping[str, Any], system: str, turns: Sequence[Message]) -> Request:
    wanted = table(body.get("response_format"))
    choice = body.get("tool_choice", "auto")
    named = text(table(table(choice).get("function")).get("name"))
    limit = whole_number(body.get("max_completion_tokens"))
    return Request(
        messages=tuple(turns),
        system=system,
        max_tokens=limit if limit is not None else whole_number(body.get("max_tokens")),
        stop=texts(body.get("stop")),
        schema=table(table(wanted.get("json_schema")).get("schema"))
        or ({} if wanted.get("type") == "json_object" else None),
        tools=tuple(tool(table(entry.get("function"))) for entry in rows(body.get("tools"))),
        tool_choice=named or ("required" if choice == "any" else text(choice) or "auto"),
        parallel_tools=body.get("parallel_tool_calls") is not False,
        reasoning=EFFORTS.get(text(body.get("reasoning_effort"))),
    )


def _result(message: Mapping[str, Any]) -> Message:
    return Message("tool", (ToolResult(text(message.get("tool_call_id")), spoken(message.get("content"))),))


def _calls(message: Mapping[str, Any]) -> Sequence[ToolCall]:
    calls = [(call, table(call.get("function"))) for call in rows(message.get("tool_calls"))]
    return [
        ToolCall(text(call.get("id")), text(function.get("name")), json_text(function.get("arguments")))
        for call, function in calls
    ]


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _finish(answer: Answer) -> str | None:
    return _FINISH.get(answer.finish_reason, answer.finish_reason) if answer.finish_reason else None


def _envelope(answer: Answer, kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-sim", "object": kind, "created": CREATED, "model": answer.model_returned}


def _chunk(answer: Answer, delta: Mapping[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return event({**_envelope(answer, "chat.completion.chunk"), "choices": [choice]})


def _usage(answer: Answer) -> dict[str, Any]:
    usage = answer.usage
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


wire = OpenAiChat()
