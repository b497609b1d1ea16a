"""The span of this moment, in OpenTelemetry's own terms and in the W3C's; costs nothing where nothing is recorded."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.trace import SpanContext
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

ORDER_ID = "order.id"
_W3C = TraceContextTextMapPropagator()


def traceparent() -> str | None:
    """Name the span of this moment as a header does (W3C Trace Context, section 3.2), if there is one."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get("traceparent")


def is_on() -> bool:
    """Say whether this process tells what it does; it does so from its start or never."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def is_recording() -> bool:
    """Say whether anybody keeps what is done now."""
    return trace.get_current_span().is_recording()


def about(order_id: str) -> None:
    """Mark the span of this moment with the order that it is about."""
    trace.get_current_span().set_attribute(ORDER_ID, order_id)


def link_to(traceparent: str) -> None:
    """Link the span of this moment to another, which may be in another trace."""
    if there := context_of({"traceparent": traceparent}):
        trace.get_current_span().add_link(there)


def context_of(headers: Mapping[str, str]) -> SpanContext | None:
    """Read whose work goes on here from headers, None where there is nothing that can be read."""
    found = trace.get_current_span(_W3C.extract(dict(headers))).get_span_context()
    return found if found.is_valid else None
