"""Gemini's `:batchGenerateContent`: requests in one document, results in the finished operation.

Sources: google-genai SDK 3.4 `batches.py`, recorded exchanges, guide providers §12 (inline requests: 20 MB).
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ..dialects import Call
from ..dialects._json import count, mapping, objects, string
from ..types import Ended, Progress
from . import MAX_PAGES, Flow, Results, Row, Written, told

_ENDED: Mapping[str, Ended] = {
    "SUCCEEDED": "completed",
    "FAILED": "failed",
    "EXPIRED": "expired",
    "CANCELLED": "cancelled",
}
# google.rpc.Code as HTTP statuses, where it matters whose fault it was.
_STATUS = {1: 499, 3: 400, 5: 404, 7: 403, 8: 429, 16: 401}


class Gemini:
    """Batch mode of the Gemini API."""

    share = 0.5
    most_items = 1_000
    most_bytes = 16 << 20

    def submit(self, name: str, items: Sequence[Written], model: str) -> Flow[str]:
        path = f"models/{quote(model.removeprefix('models/'), safe='')}"
        requests = [{"request": {"model": path, **(i.call.body or {})}, "metadata": {"key": i.id}} for i in items]
        batch = {"displayName": name, "inputConfig": {"requests": {"requests": requests}}}
        made = yield Call(f"/{path}:batchGenerateContent", {"batch": batch})
        return _id(made)

    def find(self, name: str, items: int, since: float) -> Flow[str | None]:  # noqa: ARG002 - the name is enough
        token = ""
        for _ in range(MAX_PAGES):
            page = mapping((yield Call(f"/batches?pageSize=100{token}", method="GET")))
            for operation in objects(page.get("operations")):
                if mapping(operation.get("metadata")).get("displayName") == name:
                    return _id(operation)
            if not (following := string(page.get("nextPageToken"))):
                return None
            token = f"&pageToken={quote(following, safe='')}"
        return None

    def look(self, batch_id: str) -> Flow[Progress]:
        operation = mapping((yield Call(f"/batches/{told(batch_id)}", method="GET")))
        about = mapping(operation.get("metadata"))
        stats = mapping(about.get("batchStats"))
        done, failed = _number(stats.get("successfulRequestCount")), _number(stats.get("failedRequestCount"))
        ended: Ended = _ENDED.get(string(about.get("state")).removeprefix("BATCH_STATE_"), "")
        if not ended and operation.get("done") is True:
            ended = "failed" if operation.get("error") else "completed"
        return Progress(ended, done, failed)

    def results(self, batch_id: str) -> Flow[Results]:
        operation = mapping((yield Call(f"/batches/{told(batch_id)}", method="GET")))
        holders = mapping(operation.get("response")), mapping(mapping(operation.get("metadata")).get("output"))
        for holder in holders:
            if rows := objects(mapping(holder.get("inlinedResponses")).get("inlinedResponses")):
                return Results(rows)
        return Results()

    def row(self, raw: Mapping[str, Any]) -> Row:
        """One inlined response."""
        name = string(mapping(raw.get("metadata")).get("key"))
        if isinstance(raw.get("response"), dict):
            return Row(name, 200, raw["response"])
        error = mapping(raw.get("error"))
        code = count(error.get("code")) or 13
        return Row(name, _STATUS.get(code, code if code >= 400 else 500), {"error": error})

    def cancel(self, batch_id: str) -> Flow[None]:
        yield Call(f"/batches/{told(batch_id)}:cancel", {})


def _id(operation: Any) -> str:
    return told(string(mapping(operation).get("name")).removeprefix("batches/"))


def _number(value: Any) -> int:
    """Counts come as strings (protobuf's 64-bit integers)."""
    return int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 12 else count(value) or 0


wire = Gemini()
