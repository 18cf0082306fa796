"""OpenTelemetry by the GenAI conventions: a span per ask under the SDK's span of the tool's call, one per attempt and
per upstream below it, and the two client metrics. Loaded only when `OTEL_*` asks for it (`telemetry.exporting`).

Events tell of an end, so attempts and upstreams are written when they end, with the start their latency gives.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from opentelemetry import metrics, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider

from routing.events import Answered, AttemptEnded, ContextFetched, Decided, Event, Failed, Fused
from routing.types import Attempt, Receipt
from server import VERSION

NAME = "plenum"
UNDERWAY = 4_096  # asks remembered; one that is cancelled before its end is told falls out here
# Our names where the convention has another (gen_ai.provider.name); the rest is said as configured.
PROVIDERS = {"gemini": "gcp.gemini", "azure": "azure.ai.openai", "mistral": "mistral_ai", "xai": "x_ai"}
# Bounds the convention advises for the two histograms.
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
NS = 1_000_000_000


def install() -> None:
    """Make the SDK the process's provider of spans and metrics, exporting by OTLP over HTTP as `OTEL_*` says.

    It flushes when the process ends in peace, within the exporter's own timeout.
    """
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider as SdkMeters
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider as SdkTracers
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.version": VERSION}).merge(Resource.create())
    if resource.attributes.get("service.name", "unknown_service") == "unknown_service":
        resource = resource.merge(Resource({"service.name": NAME}))
    tracers = SdkTracers(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(SdkMeters([PeriodicExportingMetricReader(OTLPMetricExporter())], resource))


class Spans:
    """An observer that traces and measures. Providers default to the process's."""

    def __init__(
        self,
        tracers: TracerProvider | None = None,
        meters: MeterProvider | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._tracer = (tracers or trace.get_tracer_provider()).get_tracer(NAME, VERSION)
        meter = (meters or metrics.get_meter_provider()).get_meter(NAME, VERSION)
        self._clock = clock
        self._asks: OrderedDict[str, Span] = OrderedDict()
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration", "s", "Of calls.", explicit_bucket_boundaries_advisory=SECONDS
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", "Per call.", explicit_bucket_boundaries_advisory=TOKENS
        )
        self._cost = meter.create_counter("plenum.cost", "USD", "What calls cost.")

    def __call__(self, event: Event) -> None:
        """Trace it."""
        match event:
            case Decided():
                self._began(event)
            case AttemptEnded(id, attempt):
                self._attempted(id, attempt)
            case Answered(receipt):
                self._ended(receipt.id, receipt, "")
            case Failed(id, code, receipt):
                self._ended(id, receipt, code)
            case ContextFetched():
                self._fetched(event)
            case Fused(id, status, agreement):
                note = {"plenum.id": id, "plenum.fusion.status": status}
                trace.get_current_span().set_attributes(
                    note | ({} if agreement is None else {"plenum.fusion.agreement": agreement})
                )
            case _:
                pass

    def _began(self, event: Decided) -> None:
        attributes = {"plenum.id": event.id, "plenum.strategy": event.strategy, "plenum.candidates": len(event.order)}
        self._asks[event.id] = self._tracer.start_span("plenum route", attributes=attributes, start_time=self._clock())
        if len(self._asks) > UNDERWAY:
            self._asks.popitem(last=False)[1].end(self._clock())

    def _attempted(self, id: str, attempt: Attempt) -> None:  # noqa: A002
        end = self._clock()
        names = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": PROVIDERS.get(attempt.provider, attempt.provider),
            "gen_ai.request.model": attempt.model,
        }
        failed = {} if attempt.outcome == "ok" else {"error.type": attempt.outcome}
        above = self._asks.get(id)
        if above is None or above.is_recording():  # nobody asked for the others: they cost their measures alone
            used = attempt.usage
            span = self._tracer.start_span(
                f"chat {attempt.model}",
                None if above is None else trace.set_span_in_context(above),
                SpanKind.CLIENT,
                {
                    **names,
                    **failed,
                    "gen_ai.usage.input_tokens": used.input,
                    "gen_ai.usage.output_tokens": used.output,
                    "gen_ai.usage.cache_read.input_tokens": used.cached_input,
                    "plenum.cost_usd": attempt.cost_usd or 0.0,
                    "plenum.hedge": attempt.hedge,
                },
                start_time=end - int(attempt.latency_s * NS),
            )
            if failed:
                span.set_status(Status(StatusCode.ERROR, attempt.outcome))
            span.end(end)
        self._measured(attempt, names, failed)

    def _measured(self, attempt: Attempt, names: dict[str, str], failed: dict[str, str]) -> None:
        self._duration.record(attempt.latency_s, {**names, **failed})
        self._cost.add(max(attempt.cost_usd or 0.0, 0.0), names)
        for kind, count in (("input", attempt.usage.input), ("output", attempt.usage.output)):
            if count > 0:
                self._tokens.record(count, {**names, "gen_ai.token.type": kind})

    def _ended(self, id: str, receipt: Receipt | None, code: str) -> None:  # noqa: A002
        span = self._asks.pop(id, None)
        if span is None:  # answered from memory, or refused before anybody was chosen
            span = self._tracer.start_span("plenum route", attributes={"plenum.id": id}, start_time=self._clock())
        if receipt is not None and span.is_recording():
            span.set_attributes(_told(receipt))
        if code:
            span.set_attribute("error.type", code)
            span.set_status(Status(StatusCode.ERROR, code))
        span.end(self._clock())

    def _fetched(self, event: ContextFetched) -> None:
        end = self._clock()
        span = self._tracer.start_span(
            f"context {event.server}",
            kind=SpanKind.CLIENT,
            attributes={"plenum.context.server": event.server, "plenum.context.tokens": event.tokens},
            start_time=end - int(event.latency_s * NS),
        )
        if not event.ok:
            span.set_status(Status(StatusCode.ERROR))
        span.end(end)


def _told(receipt: Receipt) -> dict[str, str | int | float]:
    found: dict[str, str | int | float | None] = {
        "plenum.provider": receipt.provider,
        "gen_ai.response.model": receipt.model_returned or receipt.model,
        "gen_ai.conversation.id": receipt.conversation,
        "plenum.caller": receipt.caller,
        "plenum.cached": receipt.cached,
        "plenum.cost_usd": receipt.cost_usd,
        "plenum.attempts": len(receipt.attempts),
        "gen_ai.response.time_to_first_chunk": receipt.ttft_s,
    }
    return {name: value for name, value in found.items() if value not in (None, "")}
