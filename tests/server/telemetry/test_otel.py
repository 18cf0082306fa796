"""Traces and metrics by the GenAI conventions, as an SDK with an in-memory exporter sees them; and over OTLP for real."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from providers.types import Usage
from routing.events import Answered, AttemptEnded, ContextFetched, Decided, Failed
from routing.types import Attempt, Receipt
from server.telemetry import exporting
from server.telemetry.otel import UNDERWAY, Spans

SECOND = 1_000_000_000


class Seen:
    def __init__(self) -> None:
        self.now = 100 * SECOND
        self.memory, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        tracers, meters = TracerProvider(shutdown_on_exit=False), MeterProvider([self.reader], shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self.memory))
        self.spans = Spans(tracers, meters, lambda: self.now)

    def tell(self, *events) -> dict:
        for event in events:
            self.spans(event)
            self.now += SECOND
        return {span.name: span for span in self.memory.get_finished_spans()}

    def points(self) -> dict:
        (scope,) = self.reader.get_metrics_data().resource_metrics[0].scope_metrics
        return {metric.name: list(metric.data.data_points) for metric in scope.metrics}


FAILED = Attempt("gemini", "flash", "timeout", "", 2.0, 0.0)
GOOD = Attempt("openai", "gpt", "ok", "", 0.5, 0.002, usage=Usage(100, 20))
RECEIPT = Receipt(
    "g_1", provider="openai", model="gpt", model_returned="gpt-1", conversation="g_1", cost_usd=0.002, ttft_s=0.1
)


def test_an_ask_is_a_span_with_its_attempts_below() -> None:
    seen = Seen()
    spans = seen.tell(
        Decided("g_1", "cost", ("a/b", "c/d"), 0, "x"), AttemptEnded("g_1", FAILED), AttemptEnded("g_1", GOOD),
        Answered(RECEIPT),
    )  # fmt: skip
    route, bad, good = spans["plenum route"], spans["chat flash"], spans["chat gpt"]
    assert bad.parent.span_id == good.parent.span_id == route.context.span_id
    assert (good.end_time - good.start_time, bad.end_time - bad.start_time) == (SECOND // 2, 2 * SECOND)
    assert good.kind.name == "CLIENT"
    assert good.attributes["gen_ai.operation.name"] == "chat"
    assert good.attributes["gen_ai.request.model"] == "gpt"
    assert (good.attributes["gen_ai.usage.input_tokens"], good.attributes["gen_ai.usage.output_tokens"]) == (100, 20)
    assert bad.attributes["gen_ai.provider.name"] == "gcp.gemini"
    assert bad.attributes["error.type"] == "timeout"
    assert (bad.status.status_code.name, good.status.status_code.name) == ("ERROR", "UNSET")
    assert route.attributes["gen_ai.response.model"] == "gpt-1"
    assert route.attributes["plenum.cost_usd"] == 0.002


def test_calls_are_measured_by_the_two_client_metrics_and_our_cost() -> None:
    seen = Seen()
    seen.tell(AttemptEnded("g_1", GOOD), AttemptEnded("g_1", FAILED))
    points = seen.points()
    durations = {point.attributes.get("error.type"): point.sum for point in points["gen_ai.client.operation.duration"]}
    assert durations == {None: 0.5, "timeout": 2.0}
    tokens = {point.attributes["gen_ai.token.type"]: point.sum for point in points["gen_ai.client.token.usage"]}
    assert tokens == {"input": 100, "output": 20}
    assert sum(point.value for point in points["plenum.cost"]) == pytest.approx(0.002)


def test_a_failure_upstreams_and_memory_have_their_spans() -> None:
    seen = Seen()
    spans = seen.tell(
        Decided("g_2", "cost", (), 3, "x"), Failed("g_2", "no_model", None),
        ContextFetched("docs", False, 0.25, 0), ContextFetched("wiki", True, 0.25, 90),
    )  # fmt: skip
    assert spans["plenum route"].attributes["error.type"] == "no_model"
    assert spans["context docs"].status.status_code.name == "ERROR"
    assert spans["context wiki"].attributes["plenum.context.tokens"] == 90
    seen.tell(Answered(RECEIPT))
    assert len([span for span in seen.memory.get_finished_spans() if span.name == "plenum route"]) == 2


def test_asks_that_never_end_do_not_pile_up() -> None:
    seen = Seen()
    for number in range(UNDERWAY + 10):
        seen.spans(Decided(str(number), "cost", (), 0, ""))
    assert len(seen.spans._asks) == UNDERWAY
    assert len(seen.memory.get_finished_spans()) == 10


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
    ],
)
def test_nothing_is_exported_unless_the_environment_says_so(environment: dict, expected: bool) -> None:
    assert exporting(environment) is expected


class Collector(BaseHTTPRequestHandler):
    got: list

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_) -> None: ...


def test_a_served_call_reaches_a_collector_as_traces_and_metrics(tmp_path: Path) -> None:
    got: list = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("One", (Collector,), {"got": got}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        "PATH": os.environ["PATH"], "PLENUM_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3]),
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}", "PLENUM_LOG": "json",
    }  # fmt: skip
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    call = {"name": "generate", "arguments": {"prompt": "PRIVATE words", "model": "sim/fast"}}
    said = [
        {"id": 1, "method": "initialize", "params": hello},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": call},
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "server", "serve", "--demo"], env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        for message in said:
            process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
            process.stdin.flush()
        while json.loads(process.stdout.readline()).get("id") != 2:
            pass
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
        server.shutdown()
        server.server_close()
    paths = {path for path, _ in got}
    assert paths == {"/v1/traces", "/v1/metrics"}
    whole = b"".join(body for _, body in got)
    for word in (b"tools/call generate", b"plenum route", b"chat fast", b"gen_ai.client.token.usage"):
        assert word in whole
    assert b"PRIVATE" not in whole
    answered = [json.loads(line) for line in errors.splitlines() if b'"answered"' in line]
    assert [line["model"] for line in answered] == ["fast"]
    assert b"PRIVATE" not in errors
