"""An audit trail as server-sent events (HTML standard, section 9.2)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, suppress

from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.types import Receive, Scope, Send

from api.feed import Follower
from api.schemas import EventView
from orders.errors import DependencyUnavailable, Overloaded
from orders.ledger.reader import Trail
from orders.model import Event

KEEP_ALIVE = 15.0
"""How often, in seconds, a stream gives a sign of life (HTML standard, section 9.2.7)."""
RECONNECT_AFTER = 1000
"""How long, in milliseconds, a client whose stream breaks waits before it comes again."""
LONGEST = 15 * 60.0
"""How long, in seconds, a stream lasts: who is still interested comes again, with a token that is still good."""
STREAM = "text/event-stream"
VARY = {"Vary": "Accept"}


ReadTrail = Callable[[int], Awaitable[Trail]]
"""Reads the trail from behind a ``seq``."""


class EventStream(StreamingResponse):
    """A trail and what follows on it, until the order's end."""

    media_type = STREAM

    def __init__(self, trail: Trail, following: AbstractContextManager[Follower], read: ReadTrail) -> None:
        super().__init__((), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no", **VARY})
        self._trail, self._following, self._read = trail, following, read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; who is one too many hears so before it begins, and nobody is left waiting when it breaks."""
        with self._following as follower:
            self.body_iterator = _messages(self._trail, follower, self._read)
            await super().__call__(scope, receive, send)


async def _messages(trail: Trail, follower: Follower, read: ReadTrail) -> AsyncIterator[bytes]:
    end = time.monotonic() + LONGEST
    yield format_sse_event(retry=RECONNECT_AFTER) + b"".join(map(_message, trail.events))
    while not (trail.is_over or follower.is_dismissed or time.monotonic() > end):
        trail = await follower.next(KEEP_ALIVE)
        yield b"".join(map(_message, trail.events)) or KEEPALIVE_COMMENT
        if not trail.events and await _has_ended(follower.mark, read):
            return


async def _has_ended(mark: int, read: ReadTrail) -> bool:
    # An event that a dead worker had written and that never counted may have led beyond the order's end.
    with suppress(DependencyUnavailable, Overloaded):
        there = await read(mark)
        return there.is_over and not there.events
    return False


def _message(event: Event) -> bytes:
    # Without a name, which would keep it from EventSource.onmessage.
    return format_sse_event(data_str=EventView.of(event).model_dump_json(), id=str(event.seq))
