"""Mistral's `/batch/jobs`: requests in one document, results in the job itself or in files.

Sources: mistralai SDK 3.7 `models/batchjob*`, recorded exchanges, guide providers §12.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ..dialects import Call
from ..dialects._json import count, mapping, objects, string
from ..types import Ended, Progress
from . import LATE_S, MAX_PAGES, Flow, Results, Row, Written, told
from .openai import wire as _openai

_ENDED: Mapping[str, Ended] = {
    "SUCCESS": "completed",
    "FAILED": "failed",
    "TIMEOUT_EXCEEDED": "expired",
    "CANCELLED": "cancelled",
}


class Mistral:
    """Batch jobs."""

    share = 0.5
    most_items = 2_000  # 10,000 may be handed in; the outputs of so many come in one document
    most_bytes = 32 << 20

    def submit(self, name: str, items: Sequence[Written], model: str) -> Flow[str]:
        requests = [{"custom_id": item.id, "body": _without_model(item.call.body)} for item in items]
        made = yield Call(
            "/batch/jobs",
            {
                "endpoint": f"/v1{items[0].call.path}",
                "model": model,
                "requests": requests,
                "metadata": {"plenum": name},
                "timeout_hours": 24,
            },
        )
        return told(mapping(made).get("id"))

    def find(self, name: str, items: int, since: float) -> Flow[str | None]:  # noqa: ARG002 - the name is enough
        after = datetime.fromtimestamp(since - LATE_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for page in range(MAX_PAGES):
            told_page = yield Call(f"/batch/jobs?page={page}&page_size=100&created_after={after}", method="GET")
            jobs = objects(mapping(told_page).get("data"))
            for job in jobs:
                if mapping(job.get("metadata")).get("plenum") == name:
                    return told(job.get("id"))
            if len(jobs) < 100:
                return None
        return None

    def look(self, batch_id: str) -> Flow[Progress]:
        job = mapping((yield Call(f"/batch/jobs/{told(batch_id)}", method="GET")))
        ended: Ended = _ENDED.get(string(job.get("status")), "")
        return Progress(ended, count(job.get("succeeded_requests")) or 0, count(job.get("failed_requests")) or 0)

    def results(self, batch_id: str) -> Flow[Results]:
        job = mapping((yield Call(f"/batch/jobs/{told(batch_id)}?inline=true", method="GET")))
        if rows := objects(job.get("outputs")):
            return Results(rows)
        files = (string(job.get("output_file")), string(job.get("error_file")))
        return Results(files=[Call(f"/files/{told(file)}/content", method="GET") for file in files if file])

    def row(self, raw: Mapping[str, Any]) -> Row:
        """As OpenAI's."""
        return _openai.row(raw)

    def cancel(self, batch_id: str) -> Flow[None]:
        yield Call(f"/batch/jobs/{told(batch_id)}/cancel", {})


def _without_model(body: Mapping[str, Any] | None) -> dict[str, Any]:
    """The model is the job's."""
    return {name: value for name, value in (body or {}).items() if name != "model"}


wire = Mistral()
