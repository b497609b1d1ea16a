"""How the processes log: on standard output, as JSON for machines or as text for people.

Beside its message each entry says by fields what it is about, as far as that is known where it is made: `FIELDS`.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from opentelemetry import trace
from opentelemetry.trace import format_span_id, format_trace_id
from pythonjsonlogger.json import JsonFormatter
from temporalio import activity, workflow
from temporalio.runtime import Runtime, TelemetryConfig

from orders.contracts import order_of_workflow
from orders.errors import DependencyUnavailable, PartnerMisuse, PartnerUnavailable, StaleWrite
from orders.settings import LogSettings, TelemetrySettings, load
from orders.telemetry.failures import message_of, stack_of
from orders.telemetry.native import LOGS

EXPECTED = (DependencyUnavailable, PartnerMisuse, PartnerUnavailable, StaleWrite)
"""What happens in the life of a distributed system, and is tried again: one line says all there is to say."""
QUOTING = {
    "botocore": logging.INFO,
    "mangum": logging.WARNING,
    "stripe": logging.WARNING,
    "temporalio.worker": logging.INFO,
}
"""Those whose entries below a level quote what was sent or answered; what matters of it is in our own."""
FIELDS = (
    "trace_id",
    "span_id",
    "aws_request_id",
    "order_id",
    "workflow_id",
    "task_queue",
    "attempt",
    "event",
    "seq",
    "status",
)
"""What an entry may say beside its message: where it was made, or what its ``extra`` has. Nothing else goes out."""
AT_A_GLANCE = ("order_id", "seq", "status", "attempt", "trace_id")
"""The fields by which a person looks further; text has these."""


def set_up_logging(service: str) -> None:
    """Log to standard output at the level of ``LOG_LEVEL`` in the format of ``LOG_FORMAT``, under a service's name.

    Raises:
        InvalidSetting: one of them can't be used.
    """
    settings, telemetry = load(LogSettings), load(TelemetrySettings)
    handler = handler_to(sys.stdout, settings.format, telemetry.service_name or service)
    logging.basicConfig(level=settings.level, handlers=[handler], force=True)
    # What they would append to each message as a dictionary is in the fields.
    activity.logger.activity_info_on_message = False
    workflow.logger.workflow_info_on_message = False
    # Each runtime has threads of its own, and that of the metrics logs likewise.
    if not telemetry.metrics:
        Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=LOGS)), error_if_already_set=False)


def handler_to(stream: TextIO, form: str, service: str) -> logging.Handler:
    """Log to a stream in the form of ``LOG_FORMAT``."""
    handler = logging.StreamHandler(stream)
    is_text = form == "text" or (form == "auto" and stream.isatty())
    handler.setFormatter(Text(dims=stream.isatty()) if is_text else Json(service))
    handler.addFilter(quotes_nobody)
    handler.addFilter(without_expected_traces)
    return handler


class Json(JsonFormatter):
    """Each entry an object on a line of its own; one about an unexpected error has it, and its stack."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Say what there is to say: the time as RFC 3339 has it, in UTC, and the rest by these names."""
        log_data.update(
            timestamp=datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            level=record.levelname,
            logger=record.name,
            message=record.getMessage(),
            service=self._service,
            **known(record),
        )
        if error := _error_of(record):
            log_data.update(error=f"{type(error).__name__}: {message_of(error)}", stack=stack_of(error))


class Text(logging.Formatter):
    """Each entry a line, with what it is about at its end; the stack of an unexpected error follows it."""

    default_msec_format = "%s.%03d"

    def __init__(self, dims: bool) -> None:
        super().__init__("%(asctime)s")
        self._ids = "  \x1b[2m{}\x1b[0m" if dims else "  {}"

    def formatException(self, ei: Any) -> str:  # noqa: N802 - it is logging's own name
        """Write the stack of an unexpected error."""
        return stack_of(ei[1])

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - it is logging's own name
        """Write the line."""
        found = known(record)
        ids = " ".join(f"{name}={found[name]}" for name in AT_A_GLANCE if name in found)
        message = visible(record.message)
        line = f"{record.asctime} {record.levelname:7} {record.name.partition('.')[0]}: {message}"
        return line + self._ids.format(ids) if ids else line


def visible(text: str) -> str:
    """Write out, as Python does, what would begin a line of its own, turn text around, or steer a terminal."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def known(record: logging.LogRecord) -> dict[str, Any]:
    """Say what an entry is about, by those of `FIELDS` that are known."""
    found = _work_of(record) | record.__dict__ | _span()
    found.setdefault("order_id", order_of_workflow(found.get("workflow_id") or ""))
    return {name: found[name] for name in FIELDS if found.get(name) is not None}


def quotes_nobody(record: logging.LogRecord) -> bool:
    """Say whether an entry may go out, whatever ``LOG_LEVEL`` is: one that quotes may name a customer."""
    level = max((level for name, level in QUOTING.items() if f"{record.name}.".startswith(f"{name}.")), default=0)
    return record.levelno >= level


def without_expected_traces(record: logging.LogRecord) -> bool:
    """Take the stack trace off an entry about something expected, and put its reason into the line."""
    error = _error_of(record)
    if isinstance(error, EXPECTED) or (error and record.name.startswith("sqlalchemy.pool")):
        record.msg, record.args = f"{record.getMessage()}: {error}", None
        record.exc_info = record.exc_text = None
    return True


def _error_of(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if isinstance(record.exc_info, tuple) else None


def _work_of(record: logging.LogRecord) -> dict[str, Any]:
    """Say in the course of which workflow an entry was made; a workflow's own logger leaves that in its entries."""
    if said := record.__dict__.get("temporal_workflow"):
        return dict(said)
    if activity.in_activity():
        info = activity.info()
        return {"workflow_id": info.workflow_id, "task_queue": info.task_queue, "attempt": info.attempt}
    return {}


def _span() -> dict[str, str]:
    here = trace.get_current_span().get_span_context()
    if not here.is_valid:
        return {}
    return {"trace_id": format_trace_id(here.trace_id), "span_id": format_span_id(here.span_id)}
