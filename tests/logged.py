"""What a process would write into its log, read back."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

from orders.logs import handler_to


class Log(StringIO):
    """The lines of a log, as JSON."""

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]

    def of(self, logger: str) -> list[dict[str, Any]]:
        return [entry for entry in self.entries if entry["logger"] == logger]


@contextmanager
def logged(level: int = logging.INFO) -> Iterator[Log]:
    """Keep what is logged meanwhile, from this level up, as a process does in a deployment."""
    log, root = Log(), logging.getLogger()
    handler, before = handler_to(log, "json", "orders-tests"), root.level
    root.addHandler(handler)
    root.setLevel(level)
    try:
        yield log
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
