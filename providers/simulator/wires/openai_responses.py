"""OpenAI's Responses API and its token count."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...types import Answer, Message, Request, ToolCall, ToolResult
from . import Asked, Frames, Kind
from ._reading import EFFORTS, event, json_text, parts, rows, spoken, table, text, tool, turn, whole_number
from .openai_chat import CREATED
from .openai_chat import wire as chat

_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}


class OpenAiResponses:
    """`POST /responses`, `POST /responses/input_tokens`."""

    prefix = "/openai/v1"
    media = "text/event-stream"

    def route(self, method: str, path: str) -> Kind | None:
        routes: Mapping[tuple[str, str], Kind] = {
            ("POST", "/responses"): "chat",
            ("POST", "/responses/input_tokens"): "count",
        }
        return routes.get((method, path))

    def asked(self, path: str, body: Mapping[str, Any]) -> Asked:  # noqa: ARG002 - other wires name the model in the path
        given = body.get("input")
        items = [{"role": "user", "content": given}] if isinstance(given, str) else rows(given)
        told, turns = [text(body.get("instructions"))], list[Message]()
        for item in items:
            if item.get("role") in ("system", "developer"):
                told.append(spoken(item.get("content")))
            else:
                turns.append(_turn(item))
        system = "\n".join(filter(None, told))
        return Asked(text(body.get("model")), _request(body, system, turns), body.get("stream") is True)

    def whole(self, answer: Answer) -> Any:
        return _response(answer, [_item(item, "".join(said)) for item, said in _items(answer, [answer.text])])

    def frames(self, answer: Answer, parts: Sequence[str]) -> Frames:
        begun = {**_response(answer, []), "status": "in_progress", "incomplete_details": None, "usage": None}
        events: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
        spans: list[int] = []
        for index, (item, said) in enumerate(_items(answer, parts)):
            events.append({"type": "response.output_item.added", "output_index": index, "item": _item(item, "")})
            first = len(events)
            at = {"output_index": index, "item_id": item["id"], "content_index": 0}
            events += [{"type": _DELTAS[item["type"]], "delta": piece, **at} for piece in said]
            if item["type"] == "message":
                spans = [first, len(events)]
            events.append(
                {"type": "response.output_item.done", "output_index": index, "item": _item(item, "".join(said))}
            )
        if answer.finish_reason:
            kind = "response.incomplete" if answer.finish_reason in _REASONS else "response.completed"
            events.append({"type": kind, "response": self.whole(answer)})
        written = [event({**each, "sequence_number": at}, each["type"]) for at, each in enumerate(events)]
        begin, end = spans or [len(written), len(written)]
        return Frames(written[:begin], written[begin:end], written[end:])

    def hollow(self) -> Any:
        return {"id": "resp_sim", "object": "response", "status": "completed", "model": "sim", "output": []}

    def failure(self, status: int, code: str) -> Any:
        return chat.failure(status, code)

    def counted(self, tokens: int) -> Any:
        return {"object": "response.input_tokens", "input_tokens": tokens}


_DELTAS = {
    "message": "response.output_text.delta",
    "reasoning": "response.reasoning_summary_text.delta",
    "function_call": "response.function_call_arguments.delta",
}


def _request(body: Mapping[str, Any], system: str, turns: Sequence[Message]) -> Request:
    wanted, choice = table(table(body.get("text")).get("format")), body.get("tool_choice", "auto")
    return Request(
        messages=tuple(turns),
        system=system,
        max_tokens=whole_number(body.get("max_output_tokens")),
        schema=table(wanted.get("schema")) or ({} if wanted.get("type") == "json_object" else None),
        tools=tuple(tool(entry) for entry in rows(body.get("tools"))),
        tool_choice=text(table(choice).get("name")) or text(choice) or "auto",
        parallel_tools=body.get("parallel_tool_calls") is not False,
        reasoning=EFFORTS.get(text(table(body.get("reasoning")).get("effort"))),
    )


def _turn(item: Mapping[str, Any]) -> Message:
    match item.get("type"):
        case "function_call":
            call = ToolCall(text(item.get("call_id")), text(item.get("name")), json_text(item.get("arguments")))
            return Message("assistant", (call,))
        case "function_call_output":
            return Message("tool", (ToolResult(text(item.get("call_id")), spoken(item.get("output"))),))
        case _:
            return turn(text(item.get("role")), parts(item.get("content")))


def _items(answer: Answer, parts: Sequence[str]) -> Sequence[tuple[dict[str, Any], Sequence[str]]]:
    """The output items, each with what it says in pieces."""
    found: list[tuple[dict[str, Any], Sequence[str]]] = [
        ({"type": "reasoning", "id": f"rs_{at}"}, [thought.text]) for at, thought in enumerate(answer.reasoning)
    ]
    if answer.refusal:
        found.append(({"type": "message", "id": "msg_0", "refusal": answer.refusal}, []))
    elif answer.text or not answer.tool_calls:
        found.append(({"type": "message", "id": "msg_0"}, parts))
    for call in answer.tool_calls:
        item = {"type": "function_call", "id": f"fc_{call.id}", "call_id": call.id, "name": call.name}
        found.append((item, [call.arguments]))
    return found


def _item(item: Mapping[str, Any], said: str) -> dict[str, Any]:
    content: list[dict[str, Any]]
    match item["type"]:
        case "reasoning":
            return {**item, "summary": [{"type": "summary_text", "text": said}] if said else []}
        case "function_call":
            return {**item, "arguments": said, "status": "completed"}
        case _ if refusal := item.get("refusal"):
            content = [{"type": "refusal", "refusal": refusal}]
            return {"type": "message", "id": item["id"], "role": "assistant", "status": "completed", "content": content}
        case _:
            content = [{"type": "output_text", "text": said, "annotations": []}]
            return {**item, "role": "assistant", "status": "completed", "content": content}


def _response(answer: Answer, output: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    usage, reason = answer.usage, _REASONS.get(answer.finish_reason or "")
    return {
        "id": "resp_sim",
        "object": "response",
        "created_at": CREATED,
        "model": answer.model_returned,
        "status": "incomplete" if reason else "completed" if answer.finish_reason else "in_progress",
        "incomplete_details": {"reason": reason} if reason else None,
        "error": None,
        "output": list(output),
        "usage": {
            "input_tokens": usage.input,
            "input_tokens_details": {"cached_tokens": usage.cached_input},
            "output_tokens": usage.output,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": usage.input + usage.output,
        },
    }


wire = OpenAiResponses()
