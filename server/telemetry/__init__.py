"""Subscribers of routing events: Prometheus, OpenTelemetry, the log. They learn; they never decide or fail a request.

What each shows is chosen field by field: never a prompt, an answer, a key, a header or a provider's own text.
"""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a host waits for tools/list without routing
    from server.app import App
    from server.house import House

_EXPORTING = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)


def exporting(environment: Mapping[str, str]) -> bool:
    """Whether OpenTelemetry is configured by its own variables, and its extra is installed."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if not any(environment.get(name, "").strip() for name in _EXPORTING):
        return False
    from importlib.util import find_spec

    if find_spec("opentelemetry.sdk") is None or find_spec("opentelemetry.exporter") is None:
        sys.stderr.write("OTEL_* is set, but the extra is missing: install plenum-mcp[otel]. Nothing is exported.\n")
        return False
    return True


def watch(house: "House", environment: Mapping[str, str]) -> bool:
    """Let spans and the log listen once the app opens, as the environment says. Returns whether spans are exported."""
    exports = exporting(environment)
    if exports:
        from .otel import install

        install()

    def attach(app: "App") -> None:
        from .log import LOGGED, form, log

        if (write := form(environment.get("PLENUM_LOG", ""))) is not None:
            app.hub.subscribe(log(write, sys.stderr.write), *LOGGED)
        if exports:
            from .otel import Spans

            app.hub.subscribe(Spans())

    house.app.watchers.append(attach)
    return exports
