"""What is told of an error that nobody expected: all that helps, and nothing that a customer has sent."""

from __future__ import annotations

import traceback

from opentelemetry.trace import Span
from pydantic import ValidationError


def message_of(error: BaseException) -> str:
    """Say what it says, unless it would quote what it was given."""
    if isinstance(error, ValidationError):
        # By itself it shows the beginning of each value that it did not like.
        said = (f"{'.'.join(map(str, each['loc']))}: {each['type']}" for each in error.errors(include_input=False))
        return f"{error.title}: {'; '.join(said)}"
    if isinstance(error, UnicodeError):
        return "it can't be read as text"
    return str(error)


def stack_of(error: BaseException) -> str:
    """Give its stack, below those of its causes, as Python writes it."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = f"{stack_of(cause)}\n\nwhich led to\n\n" if cause else ""
    frames = "".join(traceback.format_tb(error.__traceback__))
    last = f"{before}Traceback (most recent call last):\n{frames}{type(error).__name__}: {message_of(error)}"
    parts = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return "\n\nin which\n\n".join([last, *map(stack_of, parts)])


def record(error: BaseException, span: Span) -> None:
    """Put it into a span (OpenTelemetry, "Semantic conventions for exceptions on spans")."""
    said = {"exception.type": type(error).__name__, "exception.message": message_of(error)}
    span.add_event("exception", {**said, "exception.stacktrace": stack_of(error)})
