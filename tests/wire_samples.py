"""One small conversation's answer in every wire format: thinking "Hm.", text "Hello", a call add({"a": 1}), 7 in, 5 out.

Hand-made after the providers' documentation. A new dialect in the folder needs its entry here.
"""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sample:
    whole: Any
    stream: tuple[tuple[str, Any], ...]  # event name, JSON value
    error: dict[str, Any]  # an error body in the provider's own shape, saying "secret-words"
    listing: Any = None
    embedding: Any = None
    counted: Any = None


def events(*values: Any, named: bool = False) -> tuple[tuple[str, Any], ...]:
    return tuple((value["type"] if named else "", value) for value in values)


def chat_chunk(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": more.pop("finish", None)}
    return {"id": "c1", "object": "chat.completion.chunk", "model": "m-1", "choices": [choice], **more}


CHAT_USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
CHAT_CALL = {"index": 0, "id": "call_a", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
OPENAI_LIST = {"object": "list", "data": [{"id": "m-1", "object": "model", "context_length": 8192}]}
OPENAI_EMBEDDING = {
    "data": [{"index": 1, "embedding": [0.5, 1]}, {"index": 0, "embedding": [0.25, 0]}],
    "model": "e-1",
    "usage": {"prompt_tokens": 4, "total_tokens": 4},
}
OPENAI_ERROR = {"error": {"message": "secret-words", "type": "oops", "param": None, "code": "some_code"}}
OUTPUT = [
    {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
    {"id": "msg_1", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]},
    {"id": "fc_1", "type": "function_call", "call_id": "call_a", "name": "add", "arguments": '{"a": 1}'},
]
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "m-1",
    "error": None,
    "output": OUTPUT,
    "usage": {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12},
}
CLAUDE = [
    {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
    {"type": "text", "text": "Hello"},
    {"type": "tool_use", "id": "call_a", "name": "add", "input": {"a": 1}},
]
GEMINI_PARTS = [
    {"text": "Hm.", "thought": True},
    {"text": "Hello"},
    {"functionCall": {"id": "call_a", "name": "add", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
]


def gemini(parts: list[Any], **more: Any) -> dict[str, Any]:
    return {
        "candidates": [{"index": 0, "content": {"role": "model", "parts": parts}, **more}],
        "modelVersion": "m-1",
        "responseId": "r1",
        "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3, "thoughtsTokenCount": 2},
    }


def ollama(message: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "m-1", "message": {"role": "assistant", **message}, "done": False, **more}


OLLAMA_END = {"done": True, "done_reason": "stop", "prompt_eval_count": 7, "eval_count": 5}
OLLAMA_CALLS = [{"id": "call_a", "function": {"name": "add", "arguments": {"a": 1}}}]
COHERE_USAGE = {
    "billed_units": {"input_tokens": 7.0, "output_tokens": 5.0},
    "tokens": {"input_tokens": 700, "output_tokens": 9},
}


def cohere(kind: str, message: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": kind, "index": 0, "delta": {"message": message, **more}}


SAMPLES: dict[str, Sample] = {
    "openai_chat": Sample(
        whole={
            "id": "c1",
            "model": "m-1",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "tool_calls",
                    "message": {
                        "role": "assistant",
                        "content": "Hello",
                        "reasoning_content": "Hm.",
                        "tool_calls": [CHAT_CALL],
                    },
                }
            ],
            "usage": CHAT_USAGE,
        },
        stream=events(
            chat_chunk({"role": "assistant", "content": "", "reasoning_content": "Hm."}),
            chat_chunk({"content": "Hel"}),
            chat_chunk({"content": "lo"}),
            chat_chunk({"tool_calls": [{**CHAT_CALL, "function": {"name": "add", "arguments": '{"a"'}}]}),
            chat_chunk({"tool_calls": [{"index": 0, "id": "", "function": {"arguments": ": 1}"}}]}),
            chat_chunk({}, finish="tool_calls"),
            {"id": "c1", "model": "m-1", "choices": [], "usage": CHAT_USAGE},
        ),
        error=OPENAI_ERROR,
        listing=OPENAI_LIST,
        embedding=OPENAI_EMBEDDING,
    ),
    "openai_responses": Sample(
        whole=RESPONSE,
        stream=events(
            {"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "output": []}},
            {"type": "response.output_item.added", "output_index": 0, "item": {"id": "rs_1", "type": "reasoning"}},
            {"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "Hm."},
            {"type": "response.output_item.done", "output_index": 0, "item": OUTPUT[0]},
            {"type": "response.output_text.delta", "output_index": 1, "delta": "Hel"},
            {"type": "response.output_text.delta", "output_index": 1, "delta": "lo"},
            {"type": "response.output_item.added", "output_index": 2, "item": {**OUTPUT[2], "arguments": ""}},
            {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": '{"a": 1}'},
            {"type": "response.output_item.done", "output_index": 2, "item": OUTPUT[2]},
            {"type": "response.completed", "response": RESPONSE},
            named=True,
        ),
        error=OPENAI_ERROR,
        listing=OPENAI_LIST,
        embedding=OPENAI_EMBEDDING,
        counted={"object": "response.input_tokens", "input_tokens": 9},
    ),
    "anthropic": Sample(
        whole={
            "id": "msg_1",
            "type": "message",
            "model": "m-1",
            "content": CLAUDE,
            "stop_reason": "tool_use",
            "usage": {"input_tokens": 4, "cache_read_input_tokens": 3, "output_tokens": 5},
        },
        stream=events(
            {
                "type": "message_start",
                "message": {
                    "id": "msg_1",
                    "model": "m-1",
                    "usage": {"input_tokens": 4, "cache_read_input_tokens": 3, "output_tokens": 1},
                },
            },
            {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "sig"}},
            {"type": "content_block_stop", "index": 0},
            {"type": "ping"},
            {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hel"}},
            {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "lo"}},
            {"type": "content_block_stop", "index": 1},
            {"type": "content_block_start", "index": 2, "content_block": {**CLAUDE[2], "input": {}}},
            {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ""}},
            {
                "type": "content_block_delta",
                "index": 2,
                "delta": {"type": "input_json_delta", "partial_json": '{"a": 1}'},
            },
            {"type": "content_block_stop", "index": 2},
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}},
            {"type": "message_stop"},
            named=True,
        ),
        error={"type": "error", "error": {"type": "oops", "message": "secret-words"}, "request_id": "req_1"},
        listing={"data": [{"id": "m-1", "max_input_tokens": 8192}], "has_more": True, "last_id": "m-1"},
        counted={"input_tokens": 9},
    ),
    "gemini": Sample(
        whole=gemini(GEMINI_PARTS, finishReason="STOP"),
        stream=events(
            gemini(GEMINI_PARTS[:1]),
            gemini([{"text": "Hel"}]),
            gemini([{"text": "lo"}]),
            gemini(GEMINI_PARTS[2:], finishReason="STOP"),
        ),
        error={"error": {"code": 400, "message": "secret-words", "status": "INVALID_ARGUMENT"}},
        listing={"models": [{"name": "models/m-1", "inputTokenLimit": 8192}], "nextPageToken": "t/2"},
        embedding={"embeddings": [{"values": [0.25, 0]}, {"values": [0.5, 1]}]},
        counted={"totalTokens": 9},
    ),
    "ollama": Sample(
        whole=ollama({"content": "Hello", "thinking": "Hm.", "tool_calls": OLLAMA_CALLS}, **OLLAMA_END),
        stream=events(
            ollama({"content": "", "thinking": "Hm."}),
            ollama({"content": "Hel"}),
            ollama({"content": "lo"}),
            ollama({"content": "", "tool_calls": OLLAMA_CALLS}),
            ollama({"content": ""}, **OLLAMA_END),
        ),
        error={"error": "secret-words"},
        listing={"models": [{"name": "m-1", "model": "m-1"}]},
        embedding={"model": "e-1", "embeddings": [[0.25, 0], [0.5, 1]], "prompt_eval_count": 4},
    ),
    "cohere": Sample(
        whole={
            "id": "x1",
            "finish_reason": "TOOL_CALL",
            "message": {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Hello"}],
                "tool_calls": [{"id": "call_a", "function": {"name": "add", "arguments": '{"a": 1}'}}],
            },
            "usage": COHERE_USAGE,
        },
        stream=events(
            {"type": "message-start", "id": "x1", "delta": {"message": {"role": "assistant"}}},
            cohere("content-start", {"content": {"type": "thinking", "thinking": ""}}),
            cohere("content-delta", {"content": {"thinking": "Hm."}}),
            cohere("content-delta", {"content": {"text": "Hel"}}),
            cohere("content-delta", {"content": {"text": "lo"}}),
            cohere(
                "tool-call-start", {"tool_calls": {"id": "call_a", "function": {"name": "add", "arguments": '{"a"'}}}
            ),
            cohere("tool-call-delta", {"tool_calls": {"function": {"arguments": ": 1}"}}}),
            cohere("message-end", {}, finish_reason="TOOL_CALL", usage=COHERE_USAGE),
        ),
        error={"id": "e1", "message": "secret-words"},
        listing={"models": [{"name": "m-1", "context_length": 8192}], "next_page_token": "t/2"},
        embedding={
            "embeddings": {"float": [[0.25, 0], [0.5, 1]]},
            "meta": {"billed_units": {"input_tokens": 4}},
        },
        counted={"tokens": [1] * 9},
    ),
}


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()
