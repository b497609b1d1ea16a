"""A server span, and the durations, of each request, by OpenTelemetry's instrumentation of FastAPI."""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI
from opentelemetry.trace import Span

from orders.telemetry import Telemetry

PROBES = "healthz,readyz"
_VALUES = re.compile(r"=[^&]*")


def trace_requests(app: FastAPI, telemetry: Telemetry) -> None:
    """Make a span of each request to this application, by the template of its route; probes are left out."""
    if not telemetry.tracing and not telemetry.metrics:
        return
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415
    from opentelemetry.metrics import NoOpMeterProvider  # noqa: PLC0415
    from opentelemetry.trace import NoOpTracerProvider  # noqa: PLC0415

    import orders.telemetry.conventions  # noqa: F401, PLC0415 - before the instrumentation reads them

    FastAPIInstrumentor.instrument_app(
        app,
        tracer_provider=telemetry.tracing.provider if telemetry.tracing else NoOpTracerProvider(),
        meter_provider=telemetry.metrics.provider if telemetry.metrics else NoOpMeterProvider(),
        excluded_urls=PROBES,
        # One span a request: what it receives and sends has none of its own.
        exclude_spans=["receive", "send"],
        server_request_hook=_without_values,
    )


def _without_values(span: Span, scope: dict[str, Any]) -> None:
    # Who looks for the orders of a customer names their email (OpenTelemetry, "Semantic conventions for URL": what is
    # sensitive is replaced by REDACTED).
    if query := scope.get("query_string"):
        span.set_attribute("url.query", _VALUES.sub("=REDACTED", query.decode("latin-1")))
