"""A pytest plug-in of the canary run: writes down what is told while tests run, so that it can be searched too.

Every HTTP answer of an in-process server (MCP, `/v1`, `/api`, `/metrics`, the page), every MCP frame written, every line a
stdio server of a test wrote, every span and metric exported, and what each test printed and logged, passed or not.
"""

import os
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(os.environ["PLENUM_CANARY_FOLDER"])


def heard(channel: str, content: bytes) -> None:
    """Append to the channel's file of this process."""
    with (FOLDER / f"{channel}-{os.getpid()}").open("ab") as file:
        file.write(content + b"\n")


def pytest_configure(config: pytest.Config) -> None:
    """Patch the rims."""
    del config
    _http()
    _frames()
    _lines()
    _traces()


def _http() -> None:
    from server.http.guard import Guard

    inner = Guard.__call__

    async def call(self: Any, scope: Any, receive: Any, send: Any) -> None:
        async def noted(message: Any) -> None:
            if message["type"] == "http.response.start":
                heard("answers", b"\n".join(name + b": " + value for name, value in message["headers"]))
            elif message["type"] == "http.response.body":
                heard("answers", message.get("body", b""))
            await send(message)

        await inner(self, scope, receive, noted)

    Guard.__call__ = call


def _frames() -> None:
    from server.mcp import frames, stdio

    inner = frames.encode

    def encode(message: Any) -> bytes:
        written = inner(message)
        heard("frames", written)
        return written

    frames.encode = stdio.encode = encode


def _lines() -> None:
    import sys

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from lines import Talk

    inner = Talk.read

    def read(self: Any) -> Any:
        found = inner(self)
        heard("lines", repr(found).encode("utf-8", "backslashreplace"))
        return found

    Talk.read = read


def _traces() -> None:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    inner = SimpleSpanProcessor.on_end

    def on_end(self: Any, span: ReadableSpan) -> None:
        heard("traces", span.to_json().encode("utf-8", "backslashreplace"))
        inner(self, span)

    SimpleSpanProcessor.on_end = on_end


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """What was printed and logged; in the main process for all workers."""
    for title, text in report.sections:
        heard("printed", f"{report.nodeid} {title}\n{text}".encode("utf-8", "backslashreplace"))
