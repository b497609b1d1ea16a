"""What the tests look at spans with."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, format_trace_id

from orders.telemetry.tracing import Tracing

PLACED = """POST /orders
  StartWorkflow:OrderWorkflow
    RunWorkflow:OrderWorkflow
    StartActivity:record
      RunActivity:record
        WITH
    StartActivity:record
      RunActivity:record
        WITH
    StartActivity:authorize
      RunActivity:authorize
        payment provider authorize
          INSERT
    StartActivity:record
      RunActivity:record
        WITH
    StartChildWorkflow:ShippingWorkflow
      RunWorkflow:ShippingWorkflow
      StartActivity:prepare
        RunActivity:prepare
          warehouse pick
          warehouse pack
      StartActivity:dispatch
        RunActivity:dispatch
          carrier choose
          carrier book
            INSERT
          carrier dispatch
            UPDATE
      CompleteWorkflow:ShippingWorkflow
    StartActivity:record
      RunActivity:record
        WITH
    CompleteWorkflow:OrderWorkflow"""
"""What an order leaves behind that nothing comes in the way of."""


class Node(NamedTuple):
    """What makes a span a part of a tree."""

    id: object
    parent: object
    name: str
    begun: int


@dataclass(frozen=True)
class Spans:
    """The spans of one trace, in the order of their beginning."""

    found: list[ReadableSpan]

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.found if span.name == name]

    @property
    def tree(self) -> str:
        """The names, each indented under its parent."""
        return tree_of(
            [
                Node(context_of(span).span_id, span.parent and span.parent.span_id, span.name, span.start_time or 0)
                for span in self.found
            ]
        )


def tree_of(nodes: Collection[Node]) -> str:
    """The names of spans in the order of their beginning, each indented under its parent."""
    below = defaultdict(list)
    ids = {node.id for node in nodes}
    for node in sorted(nodes, key=lambda node: node.begun):
        below[node.parent if node.parent in ids else None].append(node)

    def lines(parent: object) -> Iterator[str]:
        for node in below[parent]:
            yield node.name
            yield from (f"  {line}" for line in lines(node.id))

    return "\n".join(lines(None))


def trace_of(exporter: InMemorySpanExporter, trace_id: str) -> Spans:
    """The spans of a trace that have ended."""
    found = [span for span in exporter.get_finished_spans() if format_trace_id(context_of(span).trace_id) == trace_id]
    return Spans(sorted(found, key=lambda span: span.start_time or 0))


def as_text(spans: Iterable[ReadableSpan]) -> str:
    """All that stands in spans."""
    return "".join(json.dumps(json.loads(span.to_json()), ensure_ascii=False) for span in spans)


def context_of(span: ReadableSpan) -> SpanContext:
    """By what others know a span."""
    context = span.get_span_context()
    assert context
    return context


def linked_from(spans: list[ReadableSpan]) -> list[tuple[int, int]]:
    """The traces and spans that spans are linked to."""
    return [(link.context.trace_id, link.context.span_id) for span in spans for link in span.links]


def name_of(span: ReadableSpan) -> tuple[int, int]:
    """A span as a link to it says it."""
    return context_of(span).trace_id, context_of(span).span_id


def give_up(tracing: Tracing) -> None:
    """Have its exporter try no more: it draws its pauses by ``random``, which Hypothesis takes for a test's own."""
    *_, processor = tracing.provider._active_span_processor._span_processors
    assert isinstance(processor, BatchSpanProcessor)
    processor.span_exporter.shutdown()
