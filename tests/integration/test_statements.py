"""Each SQL statement is a span, which tells what was asked and nothing of what it was asked with."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from orders.contracts import RecordEvents
from orders.ledger.engine import Database
from orders.ledger.writer import Ledger
from orders.model import Origin
from orders.order import receive
from orders.settings import DatabaseSettings, TelemetrySettings, load
from orders.telemetry.tracing import Tracing
from tests.examples import DETAILS, new_id
from tests.spans import as_text

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(spans: InMemorySpanExporter) -> Tracing:
    return Tracing.to(SimpleSpanProcessor(spans), load(TelemetrySettings))


@pytest.fixture
def watched(database_url: str, tracing: Tracing) -> Iterator[Database]:
    """A database that is asked in the course of a trace."""
    database = Database(load(DatabaseSettings, DATABASE_URL=database_url, DATABASE_POOL_SIZE=1))
    # What a new connection asks first has no span here.
    database.ping()
    tracing.watch_database(database.engine)
    with tracing.provider.get_tracer("test").start_as_current_span("asking"):
        yield database
    database.close()


def a_write(order_id: str) -> RecordEvents:
    order, received = receive(order_id, DETAILS, datetime(2026, 1, 1, tzinfo=UTC), Origin("ann"))
    return RecordEvents(order, [received], "run-1", 3, None, TRACEPARENT)


def test_a_write_is_one_span_which_ends_when_others_see_what_was_written(
    watched: Database, database: Database, tracing: Tracing, spans: InMemorySpanExporter
) -> None:
    order_id, seen = new_id(), []
    query = text("select traceparent from orders where id = :id").bindparams(id=order_id)

    class AtItsEnd(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            seen.append(database.run(lambda connection: connection.execute(query).scalar_one_or_none()))

    tracing.provider.add_span_processor(AtItsEnd())
    Ledger(watched).record(a_write(order_id))
    assert [span.name for span in spans.get_finished_spans()] == ["WITH"]
    assert seen == [TRACEPARENT]


def test_what_a_statement_is_asked_with_is_not_in_its_span(watched: Database, spans: InMemorySpanExporter) -> None:
    Ledger(watched).record(a_write(new_id()))
    said = as_text(spans.get_finished_spans())
    assert "INSERT INTO orders" in said
    assert not [each for each in ("John Doe", "john@example.com", "123 Main St") if each in said]


def test_a_statement_that_fails_says_why_without_quoting_a_row(watched: Database, spans: InMemorySpanExporter) -> None:
    Ledger(watched).record(a_write(new_id()))
    spans.clear()
    spoil = text("update orders set captured = -1 where customer_name = :name").bindparams(name="John Doe")
    with pytest.raises(DBAPIError) as failed:
        watched.run(lambda connection: connection.execute(spoil))
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert "orders_money_check" in str(span.status.description)
    told = "".join(traceback.format_exception(failed.value))
    assert "orders_money_check" in told
    assert "John" not in as_text([span]) + told


@pytest.mark.parametrize("wanted", [True, False])
def test_statements_name_their_trace_to_postgresql_where_that_is_wanted(
    database_url: str, spans: InMemorySpanExporter, wanted: bool
) -> None:
    tracing = Tracing.to(SimpleSpanProcessor(spans), load(TelemetrySettings, DATABASE_SQL_COMMENTS=wanted))
    database = Database(load(DatabaseSettings, DATABASE_URL=database_url, DATABASE_POOL_SIZE=1))
    tracing.watch_database(database.engine)
    with tracing.provider.get_tracer("test").start_as_current_span("asking") as span:
        query = text("select query from pg_stat_activity where pid = pg_backend_pid()")
        said = database.run(lambda connection: connection.execute(query).scalar_one())
    database.close()
    assert (f"traceparent='00-{span.get_span_context().trace_id:032x}-" in said) is wanted
