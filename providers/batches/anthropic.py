"""Anthropic's `/v1/messages/batches`: requests in one document, results as lines.

A batch has no name here, so ours stands in the ids of its items: whether a batch that runs is ours cannot be seen
before its first result, and `find` refuses to guess. Sources: anthropic SDK 2.11 `types/messages/batch*`, a recorded
exchange, guide providers §12 (24 h; 100,000 requests, 256 MB).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..dialects import Call
from ..dialects._json import count, mapping, objects, string
from ..errors import Unavailable
from ..types import Progress
from . import LATE_S, MAX_PAGES, Flow, Results, Row, Written, told

_STATUS: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "overloaded_error": 529,
}
_AGAIN_S = 60.0


class Anthropic:
    """Message Batches."""

    share = 0.5
    most_items = 10_000
    most_bytes = 64 << 20

    def submit(self, name: str, items: Sequence[Written], model: str) -> Flow[str]:  # noqa: ARG002 - both in the items
        requests = [{"custom_id": item.id, "params": item.call.body} for item in items]
        made = yield Call("/v1/messages/batches", {"requests": requests}, items[0].call.headers)
        return told(mapping(made).get("id"))

    def find(self, name: str, items: int, since: float) -> Flow[str | None]:
        undecided = False
        for batch in (yield from self._listed(since)):
            if sum(count(n) or 0 for n in mapping(batch.get("request_counts")).values()) != items:
                continue
            if string(batch.get("processing_status")) != "ended":
                undecided = True
                continue
            found = told(batch.get("id"))
            first = yield Call(f"/v1/messages/batches/{found}/results", method="GET")
            if string(mapping(next(iter(objects(first)), None)).get("custom_id")).startswith(f"{name}-"):
                return found
        if undecided:
            raise Unavailable("A batch of the same size still runs there and may be this one.", after=_AGAIN_S)
        return None

    def _listed(self, since: float) -> Flow[list[dict[str, Any]]]:
        found, after = list[dict[str, Any]](), ""
        for _ in range(MAX_PAGES):
            page = mapping((yield Call(f"/v1/messages/batches?limit=100{after}", method="GET")))
            batches = objects(page.get("data"))
            fresh = [batch for batch in batches if _made(batch) >= since - LATE_S]
            found += fresh
            if page.get("has_more") is not True or len(fresh) < len(batches):
                break
            after = f"&after_id={told(page.get('last_id'))}"
        return found

    def look(self, batch_id: str) -> Flow[Progress]:
        batch = mapping((yield Call(f"/v1/messages/batches/{told(batch_id)}", method="GET")))
        counts = {name: count(number) or 0 for name, number in mapping(batch.get("request_counts")).items()}
        done, failed = counts.get("succeeded", 0), counts.get("errored", 0)
        if string(batch.get("processing_status")) != "ended":
            return Progress("", done, failed)
        return Progress(
            "cancelled" if counts.get("canceled") else "expired" if counts.get("expired") else "completed", done, failed
        )

    def results(self, batch_id: str) -> Flow[Results]:
        """Always at this path: a URL the provider names is not followed, it could lead the key anywhere."""
        yield from ()
        return Results(files=[Call(f"/v1/messages/batches/{told(batch_id)}/results", method="GET")])

    def row(self, raw: Mapping[str, Any]) -> Row:
        """A line of the results."""
        name, result = string(raw.get("custom_id")), mapping(raw.get("result"))
        match string(result.get("type")):
            case "succeeded":
                return Row(name, 200, result.get("message"))
            case "expired":
                return Row(name, unrun="expired")
            case "canceled":
                return Row(name, unrun="cancelled")
            case _:
                error = mapping(result.get("error"))
                inner = mapping(error.get("error")) or error
                return Row(name, _STATUS.get(string(inner.get("type")), 500), {"error": inner})

    def cancel(self, batch_id: str) -> Flow[None]:
        yield Call(f"/v1/messages/batches/{told(batch_id)}/cancel", {})


def _made(batch: Mapping[str, Any]) -> float:
    try:
        return datetime.fromisoformat(string(batch.get("created_at"))).timestamp()
    except ValueError:
        return float("inf")


wire = Anthropic()
