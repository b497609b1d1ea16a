"""What the logs say, and what they leave out."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from opentelemetry import trace
from temporalio.client import Client
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.testing import ActivityEnvironment

from orders.errors import DependencyUnavailable
from orders.logs import handler_to, without_expected_traces
from orders.telemetry.native import LOGS
from tests.logged import logged

TRACE, SPAN = "ab" * 16, "cd" * 8
HERE = trace.NonRecordingSpan(trace.SpanContext(int(TRACE, 16), int(SPAN, 16), is_remote=False))
logger = logging.getLogger("orders.tests")


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def record(message: str = "paid", error: Exception | None = None, **extra: Any) -> logging.LogRecord:
    about = (type(error), error, error.__traceback__) if error else None
    return logger.makeRecord("orders.activities", logging.WARNING, "f", 1, message, (), about, extra=extra)


def written(entry: logging.LogRecord, stream: StringIO, form: str = "auto") -> str:
    handler_to(stream, form, "orders-api").handle(entry)
    return stream.getvalue()


def as_json(entry: logging.LogRecord) -> dict[str, Any]:
    line = written(entry, StringIO())
    assert line.count("\n") == 1
    found: dict[str, Any] = json.loads(line)
    return found


def said_of(error: Exception, name: str = "temporalio.activity") -> str:
    """What is said of an error."""
    try:
        raise error
    except type(error) as caught:
        information = (type(caught), caught, caught.__traceback__)
    entry = logging.LogRecord(name, logging.WARNING, "f", 1, "%s failed", ("it",), information)
    assert without_expected_traces(entry)
    return logging.Formatter("%(message)s").format(entry)


def test_what_is_expected_and_tried_again_is_one_line() -> None:
    assert said_of(DependencyUnavailable("PostgreSQL", "gone")) == "it failed: PostgreSQL is unavailable: gone"


@pytest.mark.parametrize("name", ["sqlalchemy.pool.impl.QueuePool", "sqlalchemy.pool"])
def test_what_the_pool_says_of_a_lost_connection_is_one_line(name: str) -> None:
    assert said_of(ConnectionResetError("reset"), name) == "it failed: reset"


def test_what_is_not_expected_keeps_its_trace() -> None:
    assert "Traceback" in said_of(KeyError("x"))


def test_elsewhere_than_in_a_terminal_an_entry_is_an_object_on_one_line() -> None:
    entry = record("two\nlines")
    entry.created = 1767268800.0625
    assert as_json(entry) == {
        "timestamp": "2026-01-01T12:00:00.062+00:00",
        "level": "WARNING",
        "logger": "orders.activities",
        "message": "two\nlines",
        "service": "orders-api",
    }


def test_an_unexpected_error_is_on_the_line_with_its_stack() -> None:
    found = as_json(record(error=KeyError("x")))
    assert found["error"] == "KeyError: 'x'"
    assert found["stack"].endswith("KeyError: 'x'")


def test_an_entry_names_the_span_in_which_it_was_made() -> None:
    with trace.use_span(HERE):
        found = as_json(record(trace_id="of somebody else"))
    assert (found["trace_id"], found["span_id"]) == (TRACE, SPAN)


@pytest.mark.parametrize("workflow_id", ["order:ord_1", "shipment:ord_1:2", "refusal:ord_1:evt_1"])
async def test_an_entry_of_an_activity_names_the_order_the_workflow_the_queue_and_the_attempt(workflow_id: str) -> None:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, workflow_id=workflow_id, attempt=3, task_queue="payments")
    found = environment.run(lambda: as_json(record()))
    named = {name: found[name] for name in ("order_id", "workflow_id", "task_queue", "attempt")}
    assert named == {"order_id": "ord_1", "workflow_id": workflow_id, "task_queue": "payments", "attempt": 3}


def test_what_else_a_library_knows_of_an_entry_stays_with_it() -> None:
    found = as_json(record(order_id="ord_1", customer="John", color_message="\x1b[1mpaid", status=None))
    assert found.keys() == {"timestamp", "level", "logger", "message", "service", "order_id"}


def test_in_a_terminal_an_entry_is_a_line_whose_ids_are_dimmed() -> None:
    line = written(record("two\nlines", order_id="ord_1", seq=4, task_queue="orders"), Terminal())
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} WARNING orders: two\\nlines  \x1b\[2morder_id=ord_1 seq=4\x1b\[0m\n",
        line,
    )


def test_text_can_be_asked_for_elsewhere_and_json_in_a_terminal() -> None:
    assert written(record(order_id="ord_1"), StringIO(), "text").endswith(" orders: paid  order_id=ord_1\n")
    assert written(record(), StringIO(), "text").endswith(" orders: paid\n")
    assert json.loads(written(record(), Terminal(), "json"))["message"] == "paid"


async def test_what_temporals_native_library_says_is_in_the_log_and_not_beside_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    runtime = Runtime(telemetry=TelemetryConfig(logging=replace(LOGS, filter="debug")))
    with logged(logging.DEBUG) as log:
        with pytest.raises(RuntimeError):
            await Client.connect("127.0.0.1:9", runtime=runtime)
        async with asyncio.timeout(5):
            while not log.of("temporalio.native"):  # noqa: ASYNC110 - it comes from a thread of that library
                await asyncio.sleep(0.01)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "level", "goes_out"),
    [
        ("botocore.parsers", logging.DEBUG, False),
        ("botocore.credentials", logging.INFO, True),
        ("stripe", logging.INFO, False),
        ("stripe", logging.WARNING, True),
        ("temporalio.worker._activity", logging.DEBUG, False),
        ("temporalio.worker._activity", logging.INFO, True),
        ("temporalio.activity", logging.DEBUG, True),
    ],
)
def test_who_quotes_what_was_sent_is_not_heard_at_that_level(name: str, level: int, goes_out: bool) -> None:
    entry = logging.LogRecord(name, level, "f", 1, "John Doe", (), None)
    assert bool(written(entry, StringIO())) is goes_out


@pytest.mark.parametrize(
    "text",
    [
        "paid\n2026-01-01 INFO orders: refunded",
        "\x1b[2Jpaid",
        "paid\r\x85\u2028refunded",
        "\u202ediap",
        "\x9b2J",
        "\x00",
    ],
    ids=["a line", "an escape", "other ends of lines", "turned around", "eight bits", "NUL"],
)
def test_whatever_a_message_quotes_is_one_line_that_steers_nothing(text: str) -> None:
    line = written(record(text), StringIO(), "text")
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    found = written(record(text), StringIO(), "json")
    assert found[:-1].isascii()
    assert found[:-1].isprintable()
    assert json.loads(found)["message"] == text


def test_a_message_that_looks_like_an_entry_is_a_message() -> None:
    text = '", "level": "INFO", "order_id": "ord_1"}'
    assert as_json(record(text)).items() >= {"message": text, "level": "WARNING"}.items()
