"""Spans: made by the libraries' own instrumentation, and marked here with the order that they are about."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.environment_variables import OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT as LENGTH_LIMIT
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes
from temporalio import activity
from temporalio.contrib.opentelemetry import TracingInterceptor

from orders.contracts import order_of_workflow
from orders.settings import TelemetrySettings
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
    sql_comments: bool

    @classmethod
    def start(cls, resource: Resource, meters: MeterProvider | None, settings: TelemetrySettings) -> Tracing:
        """Send spans to the collector, in batches, by a thread of their own.

        Where it can't be reached they are kept up to ``OTEL_BSP_MAX_QUEUE_SIZE``; beyond that they are dropped, and
        counted in ``otel_sdk_processor_span_processed``.
        """
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        return cls.to(BatchSpanProcessor(OTLPSpanExporter(), meter_provider=meters), settings, resource)

    @classmethod
    def to(cls, processor: SpanProcessor, settings: TelemetrySettings, resource: Resource | None = None) -> Tracing:
        """Hand spans to a processor."""
        given = {} if os.environ.get(LENGTH_LIMIT) else {"max_span_attribute_length": LONGEST}
        sampler, limits = Asked(_sampler_of(settings)), SpanLimits(**given)
        provider = TracerProvider(sampler, resource, shutdown_on_exit=False, span_limits=limits)
        provider.add_span_processor(Marking())
        provider.add_span_processor(processor)
        interceptor = TracingInterceptor(provider.get_tracer("temporalio"))
        # Without baggage: what our callers say to each other would be kept in the order's history, again at each step.
        interceptor.text_map_propagator = TraceContextTextMapPropagator()
        return cls(provider, interceptor, settings.sql_comments)

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


class Asked(Sampler):
    """Leaves out what a process does by itself, a poll or a sign of life: what asks others in nobody's name."""

    def __init__(self, others: Sampler) -> None:
        self._others = others

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide about a span that begins."""
        parent = trace.get_current_span(parent_context).get_span_context()
        # A probe, too, has a span; but that one only has a name.
        is_asked = parent.is_valid and (parent.is_remote or parent.trace_flags.sampled)
        if kind is SpanKind.CLIENT and not is_asked:
            return SamplingResult(Decision.DROP)
        return self._others.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """Name this sampler, and the one that decides about all else."""
        return f"Asked({self._others.get_description()})"


def _sampler_of(settings: TelemetrySettings) -> Sampler:
    by_name = {"always_on": ALWAYS_ON, "always_off": ALWAYS_OFF}
    found = by_name.get(settings.sampler.removeprefix("parentbased_")) or TraceIdRatioBased(settings.sampler_argument)
    return ParentBased(found) if settings.sampler.startswith("parentbased_") else found


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
