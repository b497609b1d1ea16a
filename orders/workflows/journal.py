"""An order's state, and its way into the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from orders.activities.ledger import LedgerActivities
    from orders.contracts import PlaceOrder, Recorded, RecordEvents
    from orders.errors import StaleWrite
    from orders.model import Event, EventType, Origin, Said
    from orders.order import receive
    from orders.workflows.tally import Tally

STALE_REST, LONGEST_REST = timedelta(seconds=1), timedelta(hours=1)
# No attempt limit: a database that is away makes an order wait, never go wrong.
LEDGER_TIMEOUT = timedelta(seconds=10)
LEDGER_RETRIES = RetryPolicy(
    initial_interval=timedelta(milliseconds=100),
    maximum_interval=timedelta(seconds=10),
    non_retryable_error_types=[StaleWrite.__name__],
)


class Journal:
    """Numbers what happens to an order, and writes it down."""

    def __init__(self, placed: PlaceOrder) -> None:
        self._system, self._traceparent = Origin(trace_id=placed.trace_id), placed.traceparent
        customer = Origin(placed.actor, placed.trace_id)
        self.order, received = receive(placed.order_id, placed.details, placed.placed_at, customer)
        self._tally = Tally(received)
        self._unwritten: list[Event] = [received]
        self._writing = asyncio.Lock()

    def tell(self, event: EventType, by: Said | None = None, /, at: datetime | None = None, **data: Any) -> None:
        """Make the next event; it is in the ledger after the next write."""
        told = self.order.record(event, at or workflow.now(), by or self._system, **data)
        self._tally.count(told, self.order.status)
        self._unwritten.append(told)

    async def write(self, hold: Mapping[str, int] | None = None) -> dict[str, int | None]:
        """Write what was told, and hold these pieces of the stock for the order: all of them, or none.

        Where they can't be held nothing is written, and the answer says how many pieces of which article there
        are, None for one that the shop doesn't know. What was told is then written the next time.
        """
        # One at a time, so that nobody ever reads event 6 before event 5.
        async with self._writing:
            if not self._unwritten and hold is None:
                return {}
            events: list[Event] = []
            is_written, rest = False, STALE_REST
            try:
                while True:
                    # What was told meanwhile goes along: the order that is written is the one of this moment.
                    events, self._unwritten = [*events, *self._unwritten], []
                    if recorded := await self._record(events, hold):
                        is_written = not recorded.free
                        return recorded.free
                    # A worker that died in the middle of an update left more than this. The history is longer after
                    # a rest, and then this decision is the newer one.
                    await workflow.sleep(rest)
                    rest = min(2 * rest, LONGEST_REST)
            finally:
                if not is_written:
                    # Or it was, and nobody knows, since the step that asked for it was called off.
                    self._unwritten = [*events, *self._unwritten]

    async def _record(self, events: list[Event], hold: Mapping[str, int] | None) -> Recorded | None:
        info = workflow.info()
        wanted = None if hold is None else dict(hold)
        entry = RecordEvents(
            self.order, events, info.run_id, info.get_current_history_length(), wanted, self._traceparent
        )
        try:
            return await workflow.execute_local_activity_method(
                LedgerActivities.record, entry, start_to_close_timeout=LEDGER_TIMEOUT, retry_policy=LEDGER_RETRIES
            )
        except ApplicationError as error:
            if error.type == StaleWrite.__name__:
                return None
            raise
