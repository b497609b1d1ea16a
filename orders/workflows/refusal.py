"""A message that came after the end of an order: its workflow is gone, the audit trail is not."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orders.activities.ledger import LedgerActivities
    from orders.contracts import RecordRefusal
    from orders.workflows.journal import LEDGER_RETRIES, LEDGER_TIMEOUT


@workflow.defn
class RefusalWorkflow:
    """Puts one refusal on record; its id makes that happen once."""

    @workflow.run
    async def run(self, refusal: RecordRefusal) -> None:
        """Append the refusal to the order's trail."""
        await workflow.execute_local_activity_method(
            LedgerActivities.record_refusal,
            refusal,
            start_to_close_timeout=LEDGER_TIMEOUT,
            retry_policy=LEDGER_RETRIES,
        )
