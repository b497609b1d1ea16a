"""The ledger's activities: local to the ``orders`` workers."""

from __future__ import annotations

from temporalio import activity

from orders.contracts import Recorded, RecordEvents, RecordRefusal
from orders.ports import LedgerWriter


class LedgerActivities:
    """Writes to the ledger; synchronous, as its driver is, so it runs in the worker's thread pool."""

    def __init__(self, ledger: LedgerWriter) -> None:
        self._ledger = ledger

    @activity.defn(name="record")
    def record(self, entry: RecordEvents) -> Recorded:
        """Append events to the audit trail and bring the order's row and the stock up to date."""
        return self._ledger.record(entry)

    @activity.defn(name="record_refusal")
    def record_refusal(self, refusal: RecordRefusal) -> None:
        """Append a refusal to the trail of an order that is at its end."""
        self._ledger.record_refusal(refusal)
