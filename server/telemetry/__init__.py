"""Subscribers of routing events: Prometheus, OpenTelemetry, the log. They learn; they never decide or fail a request."""
