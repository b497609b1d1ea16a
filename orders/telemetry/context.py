"""The span of this moment, in OpenTelemetry's own terms and in the W3C's; costs nothing where nothing is recorded."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.trace import SpanContext, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

ORDER_ID = "order.id"
_W3C = TraceContextTextMapPropagator()


def trace_id() -> str | None:
    """Name the trace of this moment, in 32 hex digits, if there is one."""
    found = trace.get_current_span().get_span_context()
    return format_trace_id(found.trace_id) if found.is_valid else None


def traceparent() -> str | None:
    """Name the span of this moment as a header does (W3C Trace Context, section 3.2), if there is one."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get("traceparent")


def is_recording() -> bool:
    """Say whether anybody keeps what is done now."""
    return trace.get_current_span().is_recording()


def about(order_id: str) -> None:
    """Mark the span of this moment with the order that it is about."""
    trace.get_current_span().set_attribute(ORDER_ID, order_id)


def link_to(traceparent: str, **attributes: str) -> None:
    """Link the span of this moment to another, which may be in another trace."""
    there = context_of({"traceparent": traceparent})
    if there:
        trace.get_current_span().add_link(there, attributes)


def context_of(headers: Mapping[str, str]) -> SpanContext | None:
    """Read whose work goes on here from headers, None where there is nothing that can be read."""
    found = trace.get_current_span(_W3C.extract(dict(headers))).get_span_context()
    return found if found.is_valid else None
