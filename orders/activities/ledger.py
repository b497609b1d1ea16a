"""The ledger's activity: local to the ``orders`` workers."""

from __future__ import annotations

from temporalio import activity

from orders.contracts import RecordEvents
from orders.ports import LedgerWriter


class LedgerActivities:
    """Writes to the ledger; synchronous, as its driver is, so it runs in the worker's thread pool."""

    def __init__(self, ledger: LedgerWriter) -> None:
        self._ledger = ledger

    @activity.defn(name="record")
    def record(self, entry: RecordEvents) -> None:
        """Append events to the audit trail and bring the order's row up to date."""
        self._ledger.record(entry)
