"""What is told of an error that nobody expected helps, and quotes nobody."""

from __future__ import annotations

import io
import json
import logging

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import TypeAdapter, ValidationError

from orders.logs import handler_to
from orders.settings import TelemetrySettings, load
from orders.telemetry.failures import message_of, record, stack_of
from orders.telemetry.tracing import Tracing
from tests.spans import as_text

STREET = "7 Secret Lane"


def quoting() -> Exception:
    """An error within another, which shows a piece of what it was given."""
    try:
        try:
            TypeAdapter(dict[str, int]).validate_python({"street": STREET})
        except ValidationError as error:
            raise LookupError("the order can't be read") from error
    except LookupError as error:
        return error
    raise AssertionError


def test_its_stack_has_each_cause_with_its_place_and_no_value() -> None:
    told = stack_of(quoting())
    assert "in quoting" in told
    assert "ValidationError: dict[str,int]: street: int_parsing" in told
    assert told.endswith("LookupError: the order can't be read")
    assert "Secret" not in told


def test_those_of_a_group_are_told_each() -> None:
    told = stack_of(ExceptionGroup("two tasks failed", [quoting(), OSError("the network is down")]))
    parts = ("two tasks failed", "can't be read", "OSError: the network is down")
    assert [part for part in parts if part not in told] == []


def test_what_cant_be_read_as_text_is_not_shown() -> None:
    with pytest.raises(UnicodeError) as failed:
        b"7 Secret Lane \xff".decode()
    assert message_of(failed.value) == "it can't be read as text"


@pytest.mark.parametrize("form", ["json", "text"])
def test_neither_a_log_nor_a_span_quotes(form: str) -> None:
    out, spans = io.StringIO(), InMemorySpanExporter()
    handler = handler_to(out, form, "orders-api")
    handler.handle(logging.LogRecord("api", logging.ERROR, "", 0, "it failed", None, (type(e := quoting()), e, None)))
    tracer = Tracing.to(SimpleSpanProcessor(spans), load(TelemetrySettings)).provider.get_tracer("test")
    with tracer.start_as_current_span("a request") as span:
        record(quoting(), span)
    told = out.getvalue() + as_text(spans.get_finished_spans())
    assert told.count("LookupError: the order can't be read") >= 2
    assert "Secret" not in told
    if form == "json":
        assert json.loads(out.getvalue())["error"] == "LookupError: the order can't be read"
