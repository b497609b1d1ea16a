"""Connections that nobody can keep for nothing: who sends or reads too slowly is given up.

Uvicorn has a limit for connections that lie idle between two requests, and for nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from uvicorn.protocols.http.h11_impl import H11Protocol


class Connection(H11Protocol):
    """A client's connection, on which each request comes, and each answer goes, within a time or bit by bit in it.

    What a request takes once its headers are here is limited by `api.middleware.Limits`.
    """

    patience: timedelta

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request."""
        super().connection_made(transport)
        self._coming = _Countdown(self.loop, self.patience, transport.abort)
        self._going = _Countdown(self.loop, self.patience, self._look_at_reader)
        # Whatever the kernel does not take is to be noticed.
        transport.set_write_buffer_limits(high=0)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what came; it may be a part of a request's headers."""
        super().data_received(data)
        self._watch()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._wait_for_reader()

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        self._going.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._coming.stop()
        self._going.stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Have the time run while no request is being answered, however much comes of one, or is left of the last."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._coming.stop()
        elif not self.transport.is_closing():
            self._coming.start()

    def _wait_for_reader(self) -> None:
        self._unread = self.transport.get_write_buffer_size()
        self._going.start()

    def _look_at_reader(self) -> None:
        if self.transport.get_write_buffer_size() < self._unread:
            self._wait_for_reader()
        else:
            self.transport.abort()


class _Countdown:
    """A time that runs from its start, and not anew, until it is stopped; at its end something is done."""

    def __init__(self, loop: asyncio.AbstractEventLoop, time: timedelta, then: Callable[[], None]) -> None:
        self._loop, self._seconds, self._then = loop, time.total_seconds(), then
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._end)

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None

    def _end(self) -> None:
        self._timer = None
        self._then()


def patient_for(time: timedelta) -> type[Connection]:
    """Give connections that are given up when nothing gets on for so long."""

    class Patient(Connection):
        patience = time

    return Patient
