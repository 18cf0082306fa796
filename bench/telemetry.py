"""What telling costs: CPU per routed call with Prometheus and the log listening, beside the same call unheard; and with
OpenTelemetry's spans and metrics exported over HTTP to a collector (a process of its own), flushes included.

`python -m bench.telemetry [--json]`. Target: at most 5 % of a call. Interleaved rounds, medians; the simulator answers.
With OTEL_TRACES_SAMPLER=parentbased_traceidratio and OTEL_TRACES_SAMPLER_ARG=0.1 a tenth of the calls is traced.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import anyio

from providers.types import Message, Request, Text
from routing.types import Ask
from server.app import opener
from server.config.load import Folders
from server.config.world import World
from server.telemetry.log import as_logfmt, log
from server.telemetry.metrics import Metrics

CALLS, ROUNDS = 100, 16
COLLECTOR = """
import http.server
class Take(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Take)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


async def cpu(app, first: int) -> float:
    began = time.process_time()
    for number in range(first, first + CALLS):
        request = Request(messages=(Message("user", (Text(f"What is {number} + 1?"),)),))
        await app.manager.generate(Ask(request, model="sim/echo", cache="off", key=f"k{number}", id=f"g_{number}"))
    return (time.process_time() - began) / CALLS


def exporter():
    """The product's own exporter, to a collector that takes everything; and how to have it send what it holds."""
    from opentelemetry import metrics, trace

    from server.telemetry.otel import Spans, install

    collector = subprocess.Popen([sys.executable, "-c", COLLECTOR], stdout=subprocess.PIPE, text=True)
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{collector.stdout.readline().strip()}"
    install()

    def flush() -> None:
        trace.get_tracer_provider().force_flush()
        metrics.get_meter_provider().force_flush()

    return collector, Spans(), flush


async def exported(app, first: int, spans, flush) -> float:
    end = app.hub.subscribe(spans)
    began = time.process_time()
    await cpu(app, first)
    flush()
    end()
    return (time.process_time() - began) / CALLS


async def main() -> dict:
    silent, heard, sent = [], [], []
    collector, spans, flush = exporter()
    listeners = Metrics(), log(as_logfmt, lambda line: None)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        async with opener(
            World({"PLENUM_BUDGET_DAILY_USD": "1000"}, folder, Folders(folder, folder)), demo=True
        )() as app:
            await cpu(app, 0)
            for number in range(ROUNDS):
                first = 1_000 + number * 3 * CALLS
                turns = [(silent, ()), (heard, listeners)]
                for at, (taken, listening) in enumerate(turns if number % 2 else reversed(turns)):
                    ends = [app.hub.subscribe(one) for one in listening]
                    taken.append(await cpu(app, first + at * CALLS))
                    for end in ends:
                        end()
                sent.append(await exported(app, first + 2 * CALLS, spans, flush))
    from opentelemetry import metrics, trace

    trace.get_tracer_provider().shutdown()
    metrics.get_meter_provider().shutdown()
    collector.kill()
    collector.wait()
    return {
        "silent_us": round(median(silent) * 1e6, 1),
        "heard_us": round(median(heard) * 1e6, 1),
        "share": round(_share(heard, silent), 4),
        "otel_us": round(median(sent) * 1e6, 1),
        "otel_share": round(_share(sent, silent), 4),
    }


def _share(some: list[float], floor: list[float]) -> float:
    return median(one / other for one, other in zip(some, floor, strict=True)) - 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    result = anyio.run(main)
    print(
        json.dumps(result)
        if parser.parse_args().json
        else "\n".join(f"{name}: {value}" for name, value in result.items())
    )
