"""`POST /v1/chat/completions`, outbound: results as completions, deltas as chunks.

A chunk is bytes around one encoded string: building an object for each would cost more than the provider's whole call.
"""

import json
import time
from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json

from providers.types import Answer, Delta, FinishReason, ToolCall, Usage
from routing.contract import value_of
from routing.types import Result
from server import receipts

from .calls import AnswerSoFar, Calls, Grown

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
quoted = json.encoder.encode_basestring  # a string as JSON, in C
LAST = b"data: [DONE]\n\n"
_SAID = b'},"logprobs":null,"finish_reason":null}]}\n\n'  # what follows a piece of text in its chunk
_CUT = frozenset[FinishReason | None]({"context_length", "paused", "error", None})  # None: nobody said why it ended


def dumped(value: Any) -> bytes:
    """A JSON document as bytes; half a surrogate pair becomes a question mark."""
    try:
        return to_json(value)
    except ValueError:  # the half pair
        return encode(value).encode("utf-8", "replace")


def usage(used: Usage) -> dict[str, Any]:
    """Tokens in OpenAI's words; they too count cached and reasoning tokens within their totals."""
    return {
        "prompt_tokens": used.input,
        "completion_tokens": used.output,
        "total_tokens": used.input + used.output,
        "prompt_tokens_details": {"cached_tokens": used.cached_input},
        "completion_tokens_details": {"reasoning_tokens": used.reasoning},
    }


def finish(answer: Answer) -> str:
    """Why it stopped, in OpenAI's words; "stop" only where the provider said so."""
    reason = answer.finish_reason
    return "length" if reason in _CUT else str(reason)


def named(result: Result) -> str:
    """Who answered, `provider/model`."""
    return f"{result.receipt.provider}/{result.receipt.model}"


def bare(text: str) -> str:
    """JSON without the fence some models put around it: clients parse the text as it is."""
    return encode(value_of(text)) if text.lstrip().startswith("```") else text


def _piece(grown: Grown) -> dict[str, Any]:
    if not grown.first:
        return {"index": grown.index, "function": {"arguments": grown.piece}}
    return {"index": grown.index, **_call(grown.call), "function": {"name": grown.call.name, "arguments": grown.piece}}


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}


class Completion:
    """How one chat completion is written. `structured`: a schema was asked for."""

    def __init__(self, *, structured: bool, include_usage: bool, receipt: bool) -> None:
        self._structured = structured
        self._include_usage = include_usage
        self._receipt = receipt
        self._created = int(time.time())
        self._head = self._said = b""
        self._calls = Calls()

    def whole(self, result: Result) -> dict[str, Any]:
        """A completion."""
        answer = result.answer
        choice = {"index": 0, "message": self._message(answer), "logprobs": None, "finish_reason": finish(answer)}
        return {
            "id": f"chatcmpl-{result.receipt.id}",
            "object": "chat.completion",
            "created": self._created,
            "model": named(result),
            "choices": [choice],
            "usage": usage(answer.usage),
            **self._own(result),
        }

    def begin(self, id: str, model: str) -> bytes:  # noqa: A002
        """The first chunk."""
        head = {"id": f"chatcmpl-{id}", "object": "chat.completion.chunk", "created": self._created, "model": model}
        self._head = b"data: " + dumped(head)[:-1]
        self._said = self._head + b',"choices":[{"index":0,"delta":{"content":'
        return self._chunk('{"role":"assistant","content":""}')

    def delta(self, delta: Delta, answer: AnswerSoFar) -> bytes:
        """What one delta becomes."""
        if delta.kind == "text":
            return b"%b%b%b" % (self._said, quoted(delta.text).encode("utf-8", "replace"), _SAID)
        if delta.kind == "reasoning":
            return self._chunk('{"reasoning_content":' + quoted(delta.text) + "}")
        return self._called(self._calls.grown(len(delta.text), answer))

    def end(self, result: Result) -> bytes:
        """What was not sent yet, why it stopped, usage if asked for, and the end."""
        rest = self._called(self._calls.rest(result.answer.tool_calls))
        last = self._chunk("{}", f'"{finish(result.answer)}"')
        tail: dict[str, Any] = {"choices": [], **self._own(result)}
        if self._include_usage:
            tail["usage"] = usage(result.answer.usage)
        told = self._head + b"," + dumped(tail)[1:] + b"\n\n" if len(tail) > 1 else b""
        return rest + last + told + LAST

    def broken(self, error: dict[str, Any]) -> bytes:
        """The last event of a stream that broke: no finish reason, no `[DONE]`."""
        return b"data: " + dumped(error) + b"\n\n"

    def _chunk(self, delta: str, reason: str = "null") -> bytes:
        choice = f',"choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{reason}}}]}}\n\n'
        return self._head + choice.encode("utf-8", "replace")

    def _called(self, pieces: Sequence[Grown]) -> bytes:
        return b"".join(self._chunk(encode({"tool_calls": [_piece(piece)]})) for piece in pieces)

    def _message(self, answer: Answer) -> dict[str, Any]:
        text = bare(answer.text) if self._structured and not answer.tool_calls else answer.text
        message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": None}
        if answer.reasoning:
            message["reasoning_content"] = "".join(part.text for part in answer.reasoning)
        if answer.tool_calls:
            message["tool_calls"] = [_call(call) for call in answer.tool_calls]
        return message

    def _own(self, result: Result) -> dict[str, Any]:
        return {"plenum": {"receipt": receipts.as_json(result.receipt)}} if self._receipt else {}
