"""`POST /v1/responses`, outbound: results as responses, deltas as typed events. Source: openai 3.52 `types/responses`.

What a stream told item by item is what its last event holds whole: both are made by `Items`.
"""

import time
from typing import Any

from providers.types import Delta, FinishReason, Usage
from routing.types import Result
from server import receipts

from .calls import AnswerSoFar, Calls
from .completion import bare, dumped, named, quoted
from .items import Event, Items
from .responses import PREFIX, ResponsesBody

_WHOLE = frozenset[FinishReason | None]({"stop", "tool_calls"})


def usage(used: Usage) -> dict[str, Any]:
    """Tokens in this API's words."""
    return {
        "input_tokens": used.input,
        "input_tokens_details": {"cached_tokens": used.cached_input},
        "output_tokens": used.output,
        "output_tokens_details": {"reasoning_tokens": used.reasoning},
        "total_tokens": used.input + used.output,
    }


class Response:
    """How one response is written: whole, or as events."""

    def __init__(self, body: ResponsesBody) -> None:
        self._echo = _echo(body)
        self._structured = body.text is not None and body.text.format is not None and body.text.format.type != "text"
        self._receipt = body.plenum.receipt
        self._created = int(time.time())
        self._number = 0
        self._id, self._model = "", ""
        self._items = Items("")
        self._calls = Calls()

    def whole(self, result: Result) -> dict[str, Any]:
        """A response."""
        answer = result.answer
        items = Items(result.receipt.id)
        for thought in answer.reasoning:
            items.thought(thought.text)
        if answer.text:
            items.said(bare(answer.text) if self._structured and not answer.tool_calls else answer.text)
        for grown in Calls().rest(answer.tool_calls):
            items.called(grown)
        items.close()
        return self._ended(result, items)

    def begin(self, id: str, model: str) -> bytes:  # noqa: A002
        """The first two events."""
        self._id, self._model, self._items = id, model, Items(id)
        response = self._response("in_progress", [])
        return self._told(
            [("response.created", {"response": response}), ("response.in_progress", {"response": response})]
        )

    def delta(self, delta: Delta, answer: AnswerSoFar) -> bytes:
        """What one delta becomes."""
        if delta.kind == "text":
            return self._told(self._items.said(delta.text)) + self._text(delta.text)
        if delta.kind == "reasoning":
            return self._told(self._items.thought(delta.text))
        return self._told(
            [e for grown in self._calls.grown(len(delta.text), answer) for e in self._items.called(grown)]
        )

    def end(self, result: Result) -> bytes:
        """What was not told yet, and the whole response."""
        events = [e for grown in self._calls.rest(result.answer.tool_calls) for e in self._items.called(grown)]
        events += self._items.close()
        response = self._ended(result, self._items)
        return self._told([*events, (f"response.{response['status']}", {"response": response})])

    def broken(self, error: dict[str, Any]) -> bytes:
        """`response.failed` for who reads types, then `error`, which the official client raises."""
        told = error["error"]
        code = "rate_limit_exceeded" if told["code"] == "rate_limit_exceeded" else "server_error"
        failed = self._response("failed", self._items.items)
        failed["error"] = {"code": code, "message": told["message"]}
        facts = {"code": told["code"], "message": told["message"], "param": told["param"], "error": told}
        return self._told([("response.failed", {"response": failed}), ("error", facts)])

    def _text(self, text: str) -> bytes:
        """The one event there are many of, without building an object."""
        self._number += 1
        place = self._items.place
        told = (
            f'event: response.output_text.delta\ndata: {{"type":"response.output_text.delta","sequence_number":'
            f'{self._number - 1},"item_id":"{place.id}","output_index":{place.index},"content_index":0,"logprobs":[],'
            f'"delta":{quoted(text)}}}\n\n'
        )
        return told.encode("utf-8", "replace")

    def _told(self, events: list[Event]) -> bytes:
        told = b""
        for kind, facts in events:
            told += b"event: %b\ndata: %b\n\n" % (
                kind.encode(),
                dumped({"type": kind, "sequence_number": self._number, **facts}),
            )
            self._number += 1
        return told

    def _ended(self, result: Result, items: Items) -> dict[str, Any]:
        answer = result.answer
        self._id, self._model = result.receipt.id, named(result)
        why = _cut(answer.finish_reason)
        response = self._response("incomplete" if why else "completed", items.items)
        response |= {"usage": usage(answer.usage), "incomplete_details": {"reason": why} if why else None}
        return response | ({"plenum": {"receipt": receipts.as_json(result.receipt)}} if self._receipt else {})

    def _response(self, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": PREFIX + self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "model": self._model,
            "error": None,
            "incomplete_details": None,
            "output": output,
            "usage": None,
            **self._echo,
        }


def _cut(reason: FinishReason | None) -> str | None:
    """Why it is incomplete, in OpenAI's words; a provider that does not say why it ended was cut."""
    if reason in _WHOLE:
        return None
    return "content_filter" if reason == "content_filter" else "max_output_tokens"


def _echo(body: ResponsesBody) -> dict[str, Any]:
    """What the caller set, as OpenAI gives it back."""
    extra = body.model_extra or {}
    chosen = body.tool_choice or "auto"
    wanted = body.text.format if body.text else None
    return {
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "metadata": extra.get("metadata") or {},
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": body.previous_response_id,
        "reasoning": {"effort": body.reasoning.effort if body.reasoning else None, "summary": None},
        "store": extra.get("store", True),
        "temperature": body.temperature,
        "text": {"format": wanted.model_dump(by_alias=True, exclude_none=True) if wanted else {"type": "text"}},
        "tool_choice": chosen if isinstance(chosen, str) else chosen.model_dump(),
        "tools": [{**each.model_dump(), "strict": False} for each in body.tools or ()],
        "top_p": body.top_p,
        "truncation": "disabled",
    }
