"""OpenAI's `/batches`: a JSONL file is uploaded, a batch made of it, and its results come as files.

Sources: openai SDK 3.52 `types/batch*`, recorded exchanges, guide providers §12 (24 h, 50,000 lines, 200 MB).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ..dialects import Call
from ..dialects._json import count, mapping, objects, string
from ..types import Ended, Progress
from . import LATE_S, MAX_PAGES, Flow, Multipart, Results, Row, Written, encoded, told

_ENDED: Mapping[str, Ended] = {
    "completed": "completed",
    "failed": "failed",
    "expired": "expired",
    "cancelled": "cancelled",
}
_UNRUN: Mapping[str, Literal["expired", "cancelled"]] = {
    "batch_expired": "expired",
    "batch_cancelled": "cancelled",
}


class OpenAI:
    """The batch endpoint of OpenAI, and of who copies it."""

    share = 0.5
    most_items = 10_000
    most_bytes = 64 << 20

    def submit(self, name: str, items: Sequence[Written], model: str) -> Flow[str]:  # noqa: ARG002 - in each body
        rows = [_row(item) for item in items]
        form = Multipart(f"plenum-{name}", {"purpose": "batch"})
        uploaded = yield form.call("/files", f"{name}.jsonl", "\n".join(rows).encode("utf-8", "replace"))
        made = yield Call(
            "/batches",
            {
                "input_file_id": told(mapping(uploaded).get("id")),
                "endpoint": f"/v1{items[0].call.path}",
                "completion_window": "24h",
                "metadata": {"plenum": name},
            },
        )
        return told(mapping(made).get("id"))

    def find(self, name: str, items: int, since: float) -> Flow[str | None]:  # noqa: ARG002 - the name is enough
        after = ""
        for _ in range(MAX_PAGES):
            page = mapping((yield Call(f"/batches?limit=100{after}", method="GET")))
            for batch in objects(page.get("data")):
                if mapping(batch.get("metadata")).get("plenum") == name:
                    return told(batch.get("id"))
                if (count(batch.get("created_at")) or since) < since - LATE_S:  # newest first
                    return None
            if page.get("has_more") is not True:
                return None
            after = f"&after={told(page.get('last_id'))}"
        return None

    def look(self, batch_id: str) -> Flow[Progress]:
        batch = mapping((yield Call(f"/batches/{told(batch_id)}", method="GET")))
        counts = mapping(batch.get("request_counts"))
        ended: Ended = _ENDED.get(string(batch.get("status")), "")
        return Progress(ended, count(counts.get("completed")) or 0, count(counts.get("failed")) or 0)

    def results(self, batch_id: str) -> Flow[Results]:
        batch = mapping((yield Call(f"/batches/{told(batch_id)}", method="GET")))
        files = (string(batch.get("output_file_id")), string(batch.get("error_file_id")))
        return Results(files=[Call(f"/files/{told(file)}/content", method="GET") for file in files if file])

    def row(self, raw: Mapping[str, Any]) -> Row:
        """A line of the output file, or of the error file."""
        name, response, error = string(raw.get("custom_id")), mapping(raw.get("response")), mapping(raw.get("error"))
        if not response:
            unrun = _UNRUN.get(string(error.get("code")))
            return Row(name, unrun=unrun) if unrun else Row(name, 500, {"error": error})
        return Row(name, count(response.get("status_code")) or 500, response.get("body"))

    def cancel(self, batch_id: str) -> Flow[None]:
        yield Call(f"/batches/{told(batch_id)}/cancel", {})


def _row(item: Written) -> str:
    return encoded({"custom_id": item.id, "method": "POST", "url": f"/v1{item.call.path}", "body": item.call.body})


wire = OpenAI()
