"""Google's Gemini: generateContent whole and streamed, token count, embeddings, model list."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...types import Answer, FinishReason, Image, Listed, Message, Part, Request, Text, ToolCall, ToolResult
from . import Asked, Frames, Kind
from ._reading import EFFORTS, event, rows, table, text, texts, tool, turn, whole_number

_VERB = re.compile(r"/models/(.+):(\w+)$")
_KINDS: Mapping[str, Kind] = {
    "generateContent": "chat",
    "streamGenerateContent": "chat",
    "countTokens": "count",
    "embedContent": "embed",
    "batchEmbedContents": "embed",
}
_FINISH: Mapping[FinishReason, str] = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}
_STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}


class Gemini:
    """`POST /v1beta/models/{m}:VERB`, `GET /v1beta/models`."""

    prefix = "/gemini/v1beta"
    media = "text/event-stream"

    def route(self, method: str, path: str) -> Kind | None:
        if (method, path) == ("GET", "/models"):
            return "list"
        found = _VERB.match(path)
        return _KINDS.get(found[2]) if method == "POST" and found else None

    def asked(self, path: str, body: Mapping[str, Any]) -> Asked:
        found = _VERB.match(path)
        body = table(body.get("generateContentRequest")) or body
        model, verb = (found[1], found[2]) if found else ("", "")
        return Asked(model, _request(body), verb == "streamGenerateContent")

    def whole(self, answer: Answer) -> Any:
        return _answered(answer, _parts(answer, answer.text), last=True)

    def frames(self, answer: Answer, parts: Sequence[str]) -> Frames:
        head = [event(_answered(answer, [{"text": each.text, "thought": True}])) for each in answer.reasoning]
        tail = [event(_answered(answer, [_call(call)])) for call in answer.tool_calls]
        if answer.finish_reason:
            tail.append(event(_answered(answer, [], last=True)))
        return Frames(head, [event(_answered(answer, [{"text": part}])) for part in parts], tail)

    def hollow(self) -> Any:
        return {"modelVersion": "sim", "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1}}

    def failure(self, status: int, code: str) -> Any:  # noqa: ARG002 - this wire has its own names
        name = _STATUS.get(status) or ("RESOURCE_EXHAUSTED" if status == 429 else "UNAVAILABLE")
        return {"error": {"code": status, "status": name, "message": f"Simulated failure {status}."}}

    def embedding(self, path: str, body: Mapping[str, Any]) -> tuple[str, Sequence[str]]:
        found = _VERB.match(path)
        asked = rows(body.get("requests")) or [body]
        return (found[1] if found else ""), ["".join(_said(table(each.get("content")))) for each in asked]

    def embedded(self, path: str, model: str, vectors: Sequence[Sequence[float]], tokens: int) -> Any:  # noqa: ARG002 - it names neither model nor tokens
        found = [{"values": list(vector)} for vector in vectors]
        return {"embeddings": found} if path.endswith(":batchEmbedContents") else {"embedding": found[0]}

    def listing(self, models: Sequence[Listed]) -> Any:
        data = [
            {
                "name": f"models/{each.id}",
                "inputTokenLimit": each.context_window,
                "outputTokenLimit": each.max_output,
                "supportedGenerationMethods": ["embedContent" if each.id == "embed" else "generateContent"],
            }
            for each in models
        ]
        return {"models": data}

    def counted(self, tokens: int) -> Any:
        return {"totalTokens": tokens}


def _request(body: Mapping[str, Any]) -> Request:
    config = table(body.get("generationConfig"))
    calling = table(table(body.get("toolConfig")).get("functionCallingConfig"))
    declared = [entry for group in rows(body.get("tools")) for entry in rows(group.get("functionDeclarations"))]
    thinking = table(config.get("thinkingConfig"))
    only = texts(calling.get("allowedFunctionNames"))
    modes = {"ANY": only[0] if len(only) == 1 else "required", "NONE": "none"}
    wants_json = config.get("responseMimeType") == "application/json"
    schema = table(config.get("responseJsonSchema")) or table(config.get("responseSchema"))
    return Request(
        messages=tuple(_turn(content) for content in rows(body.get("contents"))),
        system="".join(_said(table(body.get("systemInstruction")))),
        max_tokens=whole_number(config.get("maxOutputTokens")),
        stop=texts(config.get("stopSequences")),
        schema=schema or ({} if wants_json else None),
        tools=tuple(
            tool(entry, "parametersJsonSchema" if "parametersJsonSchema" in entry else "parameters")
            for entry in declared
        ),
        tool_choice=modes.get(text(calling.get("mode")), "auto"),
        reasoning=EFFORTS.get(text(thinking.get("thinkingLevel")).lower()) or ("medium" if _budget(thinking) else None),
    )


def _budget(thinking: Mapping[str, Any]) -> bool:
    return bool(whole_number(thinking.get("thinkingBudget")))


def _said(content: Mapping[str, Any]) -> list[str]:
    return [text(part.get("text")) for part in rows(content.get("parts"))]


def _turn(content: Mapping[str, Any]) -> Message:
    found: list[Part] = []
    for part in rows(content.get("parts")):
        if call := table(part.get("functionCall")):
            found.append(ToolCall(text(call.get("id")), text(call.get("name")), json.dumps(call.get("args"))))
        elif result := table(part.get("functionResponse")):
            found.append(
                ToolResult(text(result.get("id")), json.dumps(result.get("response")), text(result.get("name")))
            )
        elif "inlineData" in part or "fileData" in part:
            found.append(Image("image/png", data=b""))
        else:
            found.append(Text(text(part.get("text"))))
    role = "tool" if any(isinstance(part, ToolResult) for part in found) else text(content.get("role"))
    return turn(role, found)


def _parts(answer: Answer, said: str) -> list[dict[str, Any]]:
    thoughts = [{"text": each.text, "thought": True} for each in answer.reasoning]
    words = [{"text": said}] if said or not (answer.tool_calls or answer.refusal) else []
    return [*thoughts, *words, *map(_call, answer.tool_calls)]


def _call(call: ToolCall) -> dict[str, Any]:
    arguments = {"id": call.id, "name": call.name, "args": json.loads(call.arguments)}
    return {"functionCall": arguments, "thoughtSignature": "c2ltdWxhdGVk"}


def _answered(answer: Answer, parts: Sequence[Mapping[str, Any]], *, last: bool = False) -> dict[str, Any]:
    usage = answer.usage
    candidate: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": list(parts)}}
    if last and answer.finish_reason:
        candidate["finishReason"] = _FINISH.get(answer.finish_reason, "STOP")
    counts = {
        "promptTokenCount": usage.input,
        "cachedContentTokenCount": usage.cached_input,
        "candidatesTokenCount": usage.output - usage.reasoning,
        "thoughtsTokenCount": usage.reasoning,
        "totalTokenCount": usage.input + usage.output,
    }
    named = {"modelVersion": answer.model_returned, "responseId": "sim"}
    return {"candidates": [candidate], "usageMetadata": counts, **named}


wire = Gemini()
