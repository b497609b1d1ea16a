"""Spans: made by the libraries' own instrumentation, and marked here with the order that they are about."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.environment_variables import OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT as LENGTH_LIMIT
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from temporalio import activity
from temporalio.contrib.opentelemetry import TracingInterceptor

from orders.contracts import order_of_workflow
from orders.telemetry.context import ORDER_ID

if TYPE_CHECKING:
    from sqlalchemy import Engine

# It says of each attribute that it shortens that it does.
logging.getLogger("opentelemetry.attributes").addFilter(lambda record: "exceeds max length" not in str(record.msg))
LONGEST = 1024
"""How many characters of an attribute, a statement say, a span keeps unless OpenTelemetry is told otherwise."""


@dataclass(frozen=True)
class Tracing:
    """Where this process's spans go."""

    provider: TracerProvider
    interceptor: TracingInterceptor
    sql_comments: bool = False

    @classmethod
    def start(cls, resource: Resource | None, meters: MeterProvider | None, sql_comments: bool) -> Tracing:
        """Send spans to the collector, in batches, by a thread of their own.

        Where it can't be reached they are kept up to ``OTEL_BSP_MAX_QUEUE_SIZE``; beyond that they are dropped, and
        counted in ``otel_sdk_processor_span_processed``.
        """
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        return cls.to(BatchSpanProcessor(OTLPSpanExporter(), meter_provider=meters), resource, sql_comments)

    @classmethod
    def to(cls, processor: SpanProcessor, resource: Resource | None = None, sql_comments: bool = False) -> Tracing:
        """Hand spans to a processor."""
        given = {} if os.environ.get(LENGTH_LIMIT) else {"max_span_attribute_length": LONGEST}
        provider = TracerProvider(resource=resource, span_limits=SpanLimits(**given), shutdown_on_exit=False)
        provider.add_span_processor(Marking())
        provider.add_span_processor(processor)
        return cls(provider, TracingInterceptor(provider.get_tracer("temporalio")), sql_comments)

    def watch_database(self, engine: Engine) -> None:
        """Make a span of each statement; in autocommit, as the ledger has it, its time includes the commit."""
        from orders.telemetry.statements import trace_statements  # noqa: PLC0415

        trace_statements(engine, self.provider, self.sql_comments)

    def flush(self) -> None:
        """Send what has ended."""
        self.provider.force_flush()

    def close(self) -> None:
        """Send what has ended, and make no more."""
        self.provider.shutdown()


class Marking(SpanProcessor):
    """Marks each span with its order, and within an activity with the task queue and the attempt.

    What the libraries know is only the workflow's id; and a span within another is about the same order.
    """

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Mark a span that begins."""
        known = span.attributes or {}
        workflow = known.get("temporalWorkflowID")
        order_id = order_of_workflow(str(workflow)) if workflow else _order_of(trace.get_current_span(parent_context))
        marks: dict[str, Any] = {ORDER_ID: order_id} if order_id else {}
        if activity.in_activity():
            info = activity.info()
            marks |= {"task.queue": info.task_queue, "attempt": info.attempt}
            if info.workflow_id and not order_id:
                marks[ORDER_ID] = order_of_workflow(info.workflow_id)
        span.set_attributes({name: value for name, value in marks.items() if value is not None})


def _order_of(span: trace.Span) -> str | None:
    attributes = span.attributes if isinstance(span, Span) else None
    found = (attributes or {}).get(ORDER_ID)
    return str(found) if found else None
