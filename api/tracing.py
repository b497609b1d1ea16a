"""A server span of each request, and how long they take: FastAPI makes both itself."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

from fastapi.telemetry import TelemetryConfig
from opentelemetry.trace import Span

from orders.telemetry import Telemetry

PROBES = frozenset({"/healthz", "/readyz"})
_VALUES = re.compile(r"=[^&]*")


def of_requests(telemetry: Telemetry) -> TelemetryConfig:
    """Say what FastAPI is to tell of requests, by the template of their route, and to whom; of probes nothing."""
    tracing, metrics = telemetry.tracing, telemetry.metrics
    return {
        "tracing": tracing is not None,
        "tracer_provider": tracing.provider if tracing else None,
        "metrics": metrics is not None,
        "meter_provider": metrics.provider if metrics else None,
        # A request that is refused is in our own log, without what it says.
        "logs": False,
        # One span a request: resolving what a route depends on has none of its own.
        "operation_spans": False,
        "auto_configure": False,
        "exclude": _is_probe,
    }


def without_values(span: Span, scope: MutableMapping[str, Any]) -> None:
    """Keep of a query the names: who looks for the orders of a customer says their email.

    OpenTelemetry has such values replaced by ``REDACTED`` (Semantic conventions, "Attributes: URL").
    """
    if query := scope.get("query_string"):
        span.set_attribute("url.query", _VALUES.sub("=REDACTED", query.decode("latin-1")))


def _is_probe(scope: MutableMapping[str, Any]) -> bool:
    return scope.get("path") in PROBES
