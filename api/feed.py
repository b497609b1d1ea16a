"""What is new in the audit trails of orders: one poll of the ledger serves all who wait for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import Context
from typing import Protocol

from orders.errors import DependencyUnavailable, Overloaded
from orders.ledger.reader import Trail
from orders.model import ANONYMOUS, CLOSING, Event

POLL = 0.25
"""How often, in seconds, the ledger is asked while somebody waits."""
logger = logging.getLogger(__name__)


class Ledger(Protocol):
    """What the feed needs of the ledger's reading side."""

    async def newer(self, marks: Mapping[str, int]) -> Mapping[str, list[Event]]:
        """Return the events of many orders, by order, oldest first, each from behind its own mark."""


class Follower:
    """Somebody who waits for one order's events; ``mark`` is the ``seq`` of the last one that came."""

    def __init__(self, order_id: str, mark: int, caller: str = ANONYMOUS) -> None:
        self.order_id = order_id
        self.mark = mark
        self.caller = caller
        self.is_dismissed = False
        self._ready: list[Event] = []
        self._woken = asyncio.Event()

    async def next(self, timeout: float) -> Trail:
        """Wait for events: what has come, nothing when the time is over, and nothing at once when dismissed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._woken.wait()
        if not self.is_dismissed:
            self._woken.clear()
        events, self._ready = self._ready, []
        return Trail(events, self.mark, is_over=any(event.type in CLOSING for event in events))

    def hear(self, events: list[Event]) -> None:
        """Take those events that did not come before."""
        if new := [event for event in events if event.seq > self.mark]:
            self.mark = new[-1].seq
            self._ready += new
            self._woken.set()

    def dismiss(self) -> None:
        """End the waiting, now and for ever."""
        self.is_dismissed = True
        self._woken.set()


class EventFeed:
    """Asks the ledger, while anybody waits, with one statement for all: what stands behind the mark of each.

    The marks alone say what is asked for, so nothing is lost between reading a trail and following it from there.
    Of ``max_waiting`` places one caller has ``max_each``, by default half.
    """

    def __init__(self, ledger: Ledger, max_waiting: int, max_each: int | None = None, poll: float = POLL) -> None:
        self._ledger = ledger
        self._max_waiting = max_waiting
        self._max_each = max_each or max(1, max_waiting // 2)
        self._every = poll
        self._followers: set[Follower] = set()
        self._polling: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._followers)

    @contextmanager
    def follow(self, order_id: str, after: int, caller: str = ANONYMOUS) -> Iterator[Follower]:
        """Let somebody wait for the events of an order behind ``after``, until the block is left.

        Raises:
            Overloaded: as many as may are waiting already, or as many as may of this caller.
        """
        if self.waiting >= self._max_waiting:
            raise Overloaded("too many wait for events")
        # Those who have no name may be many.
        if caller != ANONYMOUS and sum(each.caller == caller for each in self._followers) >= self._max_each:
            raise Overloaded(f"you wait for events {self._max_each} times already, and others want to")
        follower = Follower(order_id, after, caller)
        self._followers.add(follower)
        if self._is_closed:
            follower.dismiss()
        elif self._polling is None:
            # In no request's context: its statements are part of nobody's trace.
            self._polling = asyncio.create_task(self._poll(), context=Context())
        try:
            yield follower
        finally:
            self._followers.discard(follower)
            if not self._followers:
                self._rest()

    def close(self) -> None:
        """Dismiss all who wait, and those who come later at once: the process is about to leave."""
        self._is_closed = True
        self._rest()
        for follower in self._followers:
            follower.dismiss()

    def _rest(self) -> None:
        if self._polling:
            self._polling.cancel()
            self._polling = None

    async def _poll(self) -> None:
        has_failed = False
        while True:
            await asyncio.sleep(self._every)
            # Who comes while the ledger is being asked was not asked for: a lower mark than the others' would be lost.
            asking = list(self._followers)
            marks: dict[str, int] = {}
            for follower in asking:
                marks[follower.order_id] = min(follower.mark, marks.get(follower.order_id, follower.mark))
            try:
                found = await self._ledger.newer(marks)
            except Exception as error:
                # Whatever it is, those who wait go on waiting; it is said once.
                if not has_failed:
                    is_known = isinstance(error, DependencyUnavailable)
                    logger.warning("no events for those who wait: %s", error, exc_info=not is_known)
                has_failed = True
                continue
            has_failed = False
            for follower in asking:
                follower.hear(found.get(follower.order_id, []))
