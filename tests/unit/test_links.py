"""A link keeps nobody waiting."""

from __future__ import annotations

import asyncio
import time

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

from api.links import Links
from orders.errors import DependencyUnavailable
from orders.settings import TelemetrySettings, load
from orders.telemetry.tracing import Tracing
from tests.spans import linked_from

ORDER = "ord_0123456789abcdef01234567"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(spans: InMemorySpanExporter) -> Tracer:
    return Tracing.to(SimpleSpanProcessor(spans), load(TelemetrySettings)).provider.get_tracer("test")


async def test_what_is_asked_goes_on_while_nobody_says_where_the_order_was_placed(
    tracer: Tracer, spans: InMemorySpanExporter
) -> None:
    begun = time.monotonic()
    with tracer.start_as_current_span("a request"):
        async with Links(lambda _: asyncio.sleep(60, TRACEPARENT)).to(ORDER):
            asked = time.monotonic() - begun
    assert asked < 0.2
    assert time.monotonic() - begun < 5
    assert linked_from(list(spans.get_finished_spans())) == []


async def test_who_asks_at_once_is_linked_all_the_same(tracer: Tracer, spans: InMemorySpanExporter) -> None:
    with tracer.start_as_current_span("a request"):
        async with Links(lambda _: asyncio.sleep(0.05, TRACEPARENT)).to(ORDER):
            pass
    (request,) = spans.get_finished_spans()
    assert linked_from([request]) == [(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331)]
    assert (request.attributes or {})["order.id"] == ORDER


async def test_a_ledger_that_is_away_refuses_nobody(tracer: Tracer, spans: InMemorySpanExporter) -> None:
    async def away(_: str) -> str | None:
        raise DependencyUnavailable("PostgreSQL", "it is away")

    with tracer.start_as_current_span("a request"):
        async with Links(away).to(ORDER):
            pass
    assert linked_from(list(spans.get_finished_spans())) == []


async def test_where_nothing_is_recorded_nobody_is_asked() -> None:
    async def asked(_: str) -> str | None:
        raise AssertionError

    async with Links(asked).to(ORDER):
        pass
