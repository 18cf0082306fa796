"""The simulator's batch endpoints: OpenAI's, Anthropic's, Mistral's and Gemini's, over the same simulated models.

A batch ends `batch_s` seconds after it was made (a scenario says so); faults of its models become errors of its items.
Two more faults come by `batch_faults`, batch by batch: `expire` (the second half is never run) and `hang` (it is taken
on, and the reply does not come).
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import time
from typing import Any, cast

from .http11 import Head, document
from .stage import Stage
from .wires import Wire, wires
from .wires._reading import rows, table, text

JSONL = "application/x-jsonl"
DAY_S = 86_400
NOT_FOUND = document(404, {"error": {"message": "There is no such batch.", "code": "not_found"}})


@dataclass(slots=True)
class Job:
    """A batch as it was handed in; `answered` is filled in when it is first looked at after its end."""

    id: str
    name: str
    model: str
    wire: str
    items: Sequence[tuple[str, Mapping[str, Any], str]]  # our id, the body, the path
    made: float
    ready: float
    expires: bool = False
    cancelled: float | None = None
    answered: list[tuple[str, int, Any]] | None = None  # id, status (0: never run), body

    def ended(self, now: float) -> bool:
        return self.cancelled is not None or now >= self.ready


@dataclass(slots=True)
class BatchDesk:
    """Every batch of one simulator, by id; and files that were uploaded."""

    stage: Stage
    clock: Callable[[], float] = time
    jobs: dict[str, Job] = field(default_factory=dict[str, Job])
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def answer(self, head: Head, body: bytes) -> tuple[bytes, bool] | None:
        """The reply, and whether it shall never arrive; None where this is no batch request."""
        for pattern, method, act in _ROUTES:
            if head.method == method and (found := pattern.fullmatch(head.path)):
                before = len(self.jobs)
                reply = act(self, found.groupdict(), _Sent(head, body))
                return reply, len(self.jobs) > before and self._fault(before) == "hang"
        return None

    def add(self, wire: str, model: str, name: str, items: Sequence[tuple[str, Mapping[str, Any], str]]) -> Job:
        number, now = len(self.jobs), self.clock()
        id_ = f"{'msgbatch' if wire == 'anthropic' else 'batch'}_{number:04}"
        ready = now + self.stage.scenario.batch_s
        job = Job(id_, name, model, wire, items, now, ready, self._fault(number) == "expire")
        self.jobs[id_] = job
        return job

    def _fault(self, number: int) -> str:
        faults = self.stage.scenario.batch_faults
        return faults[number] if number < len(faults) else ""

    def results(self, job: Job) -> list[tuple[str, int, Any]]:
        """What became of each item, once the batch has ended."""
        if job.answered is None:
            run = len(job.items)
            if job.cancelled is not None:
                run = 0 if job.cancelled < job.ready else run
            elif job.expires:
                run //= 2
            wire = wires()[job.wire]
            job.answered = [self._run(wire, job, item) for item in job.items[:run]]
            job.answered += [(item[0], 0, None) for item in job.items[run:]]
        return job.answered

    def _run(self, wire: Wire, job: Job, item: tuple[str, Mapping[str, Any], str]) -> tuple[str, int, Any]:
        name, body, path = item
        asked = wire.asked(path, {"model": job.model, **body})
        plan = self.stage.plan(job.wire, asked.model, asked.request)
        if plan.fault is not None and plan.fault.name == "status":
            status = int(plan.fault.amount)
            return name, status, wire.failure(status, "simulated_error")
        return name, 200, wire.whole(plan.answer)


@dataclass(frozen=True, slots=True)
class _Sent:
    head: Head
    body: bytes

    @property
    def json(self) -> Mapping[str, Any]:
        try:
            return table(json.loads(self.body or b"{}"))
        except ValueError:
            return {}


Found = Mapping[str, Any]


def _upload(desk: BatchDesk, _: Found, sent: _Sent) -> bytes:
    boundary = b"--" + sent.head.headers.get("content-type", "").partition("boundary=")[2].encode()
    part = next(part for part in sent.body.split(boundary) if b'name="file"' in part)
    id_ = f"file-{len(desk.files):04}"
    desk.files[id_] = part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
    return document(200, {"id": id_, "object": "file", "purpose": "batch"})


def _openai_made(desk: BatchDesk, _: Found, sent: _Sent) -> bytes:
    lines = [json.loads(line) for line in desk.files[text(sent.json.get("input_file_id"))].splitlines()]
    wire = "openai_responses" if text(sent.json.get("endpoint")).endswith("/responses") else "openai_chat"
    items = [(line["custom_id"], line["body"], line["url"].removeprefix("/v1")) for line in lines]
    model = text(items[0][1].get("model")) if items else ""
    job = desk.add(wire, model, text(table(sent.json.get("metadata")).get("plenum")), items)
    return document(200, _openai_job(desk, job))


def _openai_job(desk: BatchDesk, job: Job) -> dict[str, Any]:
    ended, half = job.ended(desk.clock()), job.expires
    status = "cancelled" if job.cancelled is not None else "expired" if half else "completed"
    done = [status for _, status, _ in desk.results(job)] if ended else []
    good, bad = done.count(200), len(done) - done.count(200)
    return {
        "id": job.id,
        "object": "batch",
        "status": status if ended else "in_progress",
        "created_at": int(job.made),
        "output_file_id": f"out-{job.id}" if good else None,
        "error_file_id": f"err-{job.id}" if bad else None,
        "request_counts": {"total": len(job.items), "completed": good, "failed": bad},
        "metadata": {"plenum": job.name},
    }


def _openai_list(desk: BatchDesk, found: Found, sent: _Sent) -> bytes:
    del found, sent
    jobs = [_openai_job(desk, job) for job in reversed(desk.jobs.values()) if job.wire.startswith("openai")]
    return document(200, {"object": "list", "data": jobs, "has_more": False})


def _openai_file(desk: BatchDesk, found: Found, _: _Sent) -> bytes:
    kind, _, id_ = found["id"].partition("-")
    job = desk.jobs.get(id_)
    if job is None:
        return NOT_FOUND
    late = "batch_cancelled" if job.cancelled is not None else "batch_expired"
    lines = [_openai_row(row, late) for row in desk.results(job) if (row[1] == 200) == (kind == "out")]
    return document(200, "\n".join(map(json.dumps, lines)).encode(), media="application/octet-stream")


def _openai_row(row: tuple[str, int, Any], late: str) -> dict[str, Any]:
    name, status, body = row
    if not status:
        return {"id": f"r-{name}", "custom_id": name, "response": None, "error": {"code": late, "message": "Not run."}}
    response = {"status_code": status, "request_id": "sim", "body": body}
    return {"id": f"r-{name}", "custom_id": name, "response": response, "error": None}


def _anthropic_made(desk: BatchDesk, _: Found, sent: _Sent) -> bytes:
    items = [(text(row.get("custom_id")), table(row.get("params")), "") for row in rows(sent.json.get("requests"))]
    job = desk.add("anthropic", text(items[0][1].get("model")) if items else "", "", items)
    return document(200, _anthropic_job(desk, job))


def _anthropic_job(desk: BatchDesk, job: Job) -> dict[str, Any]:
    ended = job.ended(desk.clock())
    counts = {"processing": 0 if ended else len(job.items), "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
    for _, status, _ in desk.results(job) if ended else ():
        kind = "canceled" if job.cancelled is not None else "expired"
        counts["succeeded" if status == 200 else "errored" if status else kind] += 1
    return {
        "id": job.id,
        "type": "message_batch",
        "processing_status": "ended" if ended else "in_progress",
        "request_counts": counts,
        "created_at": datetime.fromtimestamp(job.made, UTC).isoformat(),
        "results_url": "https://elsewhere.invalid/steal" if ended else None,
    }


def _anthropic_list(desk: BatchDesk, found: Found, sent: _Sent) -> bytes:
    del found, sent
    jobs = [_anthropic_job(desk, job) for job in reversed(desk.jobs.values()) if job.wire == "anthropic"]
    return document(200, {"data": jobs, "has_more": False})


def _anthropic_results(desk: BatchDesk, found: Found, _: _Sent) -> bytes:
    job = desk.jobs.get(found["id"])
    if job is None or not job.ended(desk.clock()):
        return NOT_FOUND
    late = "canceled" if job.cancelled is not None else "expired"
    lines = [json.dumps(_anthropic_row(row, late)) for row in desk.results(job)]
    return document(200, "\n".join(lines).encode(), media=JSONL)


def _anthropic_row(row: tuple[str, int, Any], late: str) -> dict[str, Any]:
    name, status, body = row
    if status == 200:
        return {"custom_id": name, "result": {"type": "succeeded", "message": body}}
    return {"custom_id": name, "result": {"type": "errored", "error": body} if status else {"type": late}}


def _mistral_made(desk: BatchDesk, _: Found, sent: _Sent) -> bytes:
    asked = sent.json
    path = text(asked.get("endpoint")).removeprefix("/v1")
    items = [(text(row.get("custom_id")), table(row.get("body")), path) for row in rows(asked.get("requests"))]
    name = text(table(asked.get("metadata")).get("plenum"))
    return document(200, _mistral_job(desk, desk.add("openai_chat", text(asked.get("model")), name, items)))


def _mistral_job(desk: BatchDesk, job: Job, *, inline: bool = False) -> dict[str, Any]:
    ended = job.ended(desk.clock())
    status = "CANCELLED" if job.cancelled is not None else "TIMEOUT_EXCEEDED" if job.expires else "SUCCESS"
    done = desk.results(job) if ended else []
    return {
        "id": job.id,
        "object": "batch",
        "model": job.model,
        "metadata": {"plenum": job.name},
        "status": status if ended else "RUNNING",
        "outputs": [_openai_row(row, "") for row in done if row[1]] if ended and inline else None,
        "succeeded_requests": sum(status == 200 for _, status, _ in done),
        "failed_requests": sum(status not in (0, 200) for _, status, _ in done),
    }


def _mistral_list(desk: BatchDesk, found: Found, sent: _Sent) -> bytes:
    del found, sent
    return document(200, {"object": "list", "data": [_mistral_job(desk, job) for job in desk.jobs.values()]})


def _gemini_made(desk: BatchDesk, found: Found, sent: _Sent) -> bytes:
    batch = table(sent.json.get("batch"))
    path = f"/models/{found['model']}:generateContent"
    listed = rows(table(table(batch.get("inputConfig")).get("requests")).get("requests"))
    items = [(text(table(row.get("metadata")).get("key")), table(row.get("request")), path) for row in listed]
    bare = [(name, {key: value for key, value in body.items() if key != "model"}, path) for name, body, path in items]
    return document(200, _gemini_job(desk, desk.add("gemini", found["model"], text(batch.get("displayName")), bare)))


def _gemini_job(desk: BatchDesk, job: Job) -> dict[str, Any]:
    ended = job.ended(desk.clock())
    state = "CANCELLED" if job.cancelled is not None else "EXPIRED" if job.expires else "SUCCEEDED"
    done = desk.results(job) if ended else []
    stats = {
        "requestCount": str(len(job.items)),
        "successfulRequestCount": str(sum(status == 200 for _, status, _ in done)),
        "failedRequestCount": str(sum(status not in (0, 200) for _, status, _ in done)),
    }
    about = {
        "displayName": job.name,
        "state": f"BATCH_STATE_{state if ended else 'RUNNING'}",
        "batchStats": stats,
    }
    told: dict[str, Any] = {"name": f"batches/{job.id}", "metadata": about}
    if ended:
        answers = [_gemini_row(row) for row in done if row[1]]
        told |= {"done": True, "response": {"inlinedResponses": {"inlinedResponses": answers}}}
    return told


def _gemini_row(row: tuple[str, int, Any]) -> dict[str, Any]:
    name, status, body = row
    about = {"metadata": {"key": name}}
    if status == 200:
        return {"response": body, **about}
    return {"error": {"code": {400: 3, 404: 5, 429: 8}.get(status, 13), "message": "Simulated."}, **about}


def _gemini_list(desk: BatchDesk, found: Found, sent: _Sent) -> bytes:
    del found, sent
    return document(200, {"operations": [_gemini_job(desk, job) for job in desk.jobs.values() if job.wire == "gemini"]})


def _look(show: Callable[[BatchDesk, Job], Any]) -> "Act":
    def _shown(desk: BatchDesk, found: Found, _: _Sent) -> bytes:
        job = desk.jobs.get(found["id"])
        return document(200, show(desk, job)) if job is not None else NOT_FOUND

    return _shown


def _stop(show: Callable[[BatchDesk, Job], Any]) -> "Act":
    def _stopped(desk: BatchDesk, found: Found, _: _Sent) -> bytes:
        job = desk.jobs.get(found["id"])
        if job is None:
            return NOT_FOUND
        if not job.ended(desk.clock()):
            job.cancelled = desk.clock()
        return document(200, show(desk, job))

    return _stopped


Act = Callable[[BatchDesk, Found, _Sent], bytes]


def _mistral_inline(desk: BatchDesk, job: Job) -> Any:
    return _mistral_job(desk, job, inline=True)


_ID = r"(?P<id>[\w.-]+)"
_ROUTES: Sequence[tuple[re.Pattern[str], str, Act]] = [
    (re.compile(path), method, cast("Act", act))
    for method, path, act in (
        ("POST", "/openai/v1/files", _upload),
        ("GET", f"/openai/v1/files/{_ID}/content", _openai_file),
        ("POST", "/openai/v1/batches", _openai_made),
        ("GET", "/openai/v1/batches", _openai_list),
        ("GET", f"/openai/v1/batches/{_ID}", _look(_openai_job)),
        ("POST", f"/openai/v1/batches/{_ID}/cancel", _stop(_openai_job)),
        ("POST", "/anthropic/v1/messages/batches", _anthropic_made),
        ("GET", "/anthropic/v1/messages/batches", _anthropic_list),
        ("GET", f"/anthropic/v1/messages/batches/{_ID}", _look(_anthropic_job)),
        ("GET", f"/anthropic/v1/messages/batches/{_ID}/results", _anthropic_results),
        ("POST", f"/anthropic/v1/messages/batches/{_ID}/cancel", _stop(_anthropic_job)),
        ("POST", "/mistral/v1/batch/jobs", _mistral_made),
        ("GET", "/mistral/v1/batch/jobs", _mistral_list),
        ("GET", f"/mistral/v1/batch/jobs/{_ID}", _look(_mistral_inline)),
        ("POST", f"/mistral/v1/batch/jobs/{_ID}/cancel", _stop(_mistral_job)),
        ("POST", r"/gemini/v1beta/models/(?P<model>[\w.%-]+):batchGenerateContent", _gemini_made),
        ("GET", "/gemini/v1beta/batches", _gemini_list),
        ("GET", f"/gemini/v1beta/batches/{_ID}", _look(_gemini_job)),
        ("POST", f"/gemini/v1beta/batches/{_ID}:cancel", _stop(_gemini_job)),
    )
]
