"""How long what is being done may still take: set where a request comes in, asked where somebody is waited for."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta

MOMENT = timedelta(milliseconds=1)


@dataclass
class Deadline:
    """When what is being done has to end, by the monotonic clock, and when at the ``latest``, even if prolonged."""

    end: float = math.inf
    latest: float = math.inf

    def prolong(self, by: timedelta | None) -> None:
        """Give so much more time, or with None all that there is."""
        self.end = min(self.latest, math.inf if by is None else self.end + by.total_seconds())


_current: ContextVar[Deadline] = ContextVar("deadline", default=Deadline())  # noqa: B039 - nobody changes the default


@contextmanager
def within(after: timedelta, latest: float = math.inf) -> Iterator[Deadline]:
    """Have everything that is done inside end after this time, and never later than ``latest``."""
    found = Deadline(min(latest, time.monotonic() + after.total_seconds()), latest)
    token = _current.set(found)
    try:
        yield found
    finally:
        _current.reset(token)


def remaining(at_most: timedelta) -> timedelta:
    """Return how long one may still wait: ``at_most``, or what the deadline leaves; never quite nothing."""
    end = _current.get().end
    return at_most if math.isinf(end) else max(MOMENT, min(at_most, timedelta(seconds=end - time.monotonic())))


def is_over() -> bool:
    """Whether the deadline has passed."""
    return _current.get().end <= time.monotonic()
