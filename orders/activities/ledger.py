"""The ledger's activities: local to the ``orders`` workers."""

from __future__ import annotations

import logging

from temporalio import activity

from orders.contracts import Recorded, RecordEvents, RecordRefusal
from orders.model import Event
from orders.order import Order
from orders.ports import LedgerWriter

logger = logging.getLogger(__name__)


class LedgerActivities:
    """Writes to the ledger; synchronous, as its driver is, so it runs in the worker's thread pool."""

    def __init__(self, ledger: LedgerWriter) -> None:
        self._ledger = ledger

    # Not to be broken off in the middle of a statement: its answer would be left on the connection, for the next one.
    @activity.defn(name="record", no_thread_cancel_exception=True)
    def record(self, entry: RecordEvents) -> Recorded:
        """Append events to the audit trail and bring the order's row and the stock up to date; log each event.

        A write that is tried again, since nobody heard that it was done, is logged again. A replay isn't: it takes
        the answer from the workflow's history.
        """
        recorded = self._ledger.record(entry)
        if not recorded.free:
            for event in entry.events:
                _log(event, entry.order)
        return recorded

    @activity.defn(name="record_refusal", no_thread_cancel_exception=True)
    def record_refusal(self, refusal: RecordRefusal) -> None:
        """Append a refusal to the trail of an order that is at its end."""
        self._ledger.record_refusal(refusal)


def _log(event: Event, order: Order) -> None:
    # Without its data, which has names and addresses.
    about = {
        "order_id": order.id,
        "event": event.type,
        "seq": event.seq,
        # After all events of the same write.
        "status": order.status,
        # Of who asked for it, where no span is at hand.
        "trace_id": event.trace_id,
    }
    logger.info("%s", event.type, extra=about)
