"""How a process leaves: at once before it has begun, and never by way of the interpreter's end."""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import NoReturn


def leave_when_told() -> None:
    """Leave at once, with 0, at SIGTERM, until somebody else handles it: nothing has been begun yet.

    The first process of a container does not hear a signal that it does not handle (pid_namespaces(7)), and would work
    on until it is killed.
    """
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))


def leave(code: int) -> NoReturn:
    """End the process, in which nothing is left to do."""
    # Not by way of the interpreter's end: Temporal's native threads may abort it there, or keep it from coming.
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def leave_at_once() -> NoReturn:
    """End the process, which was told to for the second time."""
    logging.getLogger(__name__).warning("told twice: leaving at once")
    os._exit(1)
