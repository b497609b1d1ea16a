"""How an order gets on: what its workflow says, and what Temporal knows of the steps that are being tried."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio import exceptions
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowQueryFailedError
from temporalio.service import RPCError

from api.service import OrderService
from orders.contracts import order_workflow_id
from orders.deadline import remaining
from orders.errors import Undecipherable, sayable
from orders.progress import Attempt, LiveProgress, Progress, progress
from orders.workflows.order import OrderWorkflow

PATIENCE = timedelta(seconds=2)
"""How long a worker may take to say how its order gets on, before the ledger is asked instead."""
RUNNING = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED


class ProgressService:
    """Says how orders get on, whether or not a worker runs."""

    def __init__(self, client: Client, orders: OrderService) -> None:
        self._client = client
        self._orders = orders

    async def of(self, order_id: str) -> LiveProgress:
        """Say how an order gets on.

        Raises:
            UnknownOrder: there is no such order.
            DependencyUnavailable: neither the workflow, nor the ledger, can be asked.
        """
        said, attempts = await asyncio.gather(self._said_by_workflow(order_id), self._attempts(order_id))
        if said is None:
            written = progress(await self._orders.get(order_id))
            if written.until and written.until < datetime.now(UTC):
                # The time has come, and nobody was there to see it.
                written = replace(written, waits_for="a worker of the queue orders")
            return LiveProgress(written, attempts, by_workflow=False)
        return LiveProgress(said, attempts, by_workflow=True)

    async def _said_by_workflow(self, order_id: str) -> Progress | None:
        handle = self._client.get_workflow_handle_for(OrderWorkflow.run, order_workflow_id(order_id))
        try:
            return await handle.query(OrderWorkflow.progress, rpc_timeout=_patience())
        except (RPCError, RuntimeError, WorkflowQueryFailedError, Undecipherable):
            # No worker, no workflow, no Temporal, or not the key to what it says: the ledger knows the order as it was
            # last written.
            return None

    async def _attempts(self, order_id: str) -> list[Attempt]:
        return [await self._attempt(info) async for info in self._pending(order_workflow_id(order_id))]

    async def _attempt(self, info: PendingActivityInfo) -> Attempt:
        is_running = info.state == RUNNING
        return Attempt(
            step=info.activity_type.name,
            attempt=info.attempt,
            is_running=is_running,
            last_error=await self._reason(info.last_failure) if info.HasField("last_failure") else None,
            next_at=None if is_running else _time(info.next_attempt_schedule_time),
        )

    async def _reason(self, failure: Failure) -> str:
        try:
            error = await self._client.data_converter.decode_failure(failure)
        except Undecipherable as missing:
            return str(missing)
        if isinstance(error, exceptions.TimeoutError):
            return "no answer in time"
        if isinstance(error, exceptions.ApplicationError):
            return sayable(error.type, error.message)
        return sayable(None, str(error))

    async def _pending(self, workflow_id: str) -> AsyncIterator[PendingActivityInfo]:
        try:
            description: WorkflowExecutionDescription = await self._client.get_workflow_handle(workflow_id).describe(
                rpc_timeout=_patience()
            )
        except (RPCError, RuntimeError):
            return
        raw: Any = description.raw_description
        for info in raw.pending_activities:
            yield info
        for child in raw.pending_children:
            async for info in self._pending(child.workflow_id):
                yield info


def _patience() -> timedelta:
    # The ledger is to have its turn before the request is over.
    return remaining(2 * PATIENCE) / 2


def _time(timestamp: Timestamp) -> datetime | None:
    return timestamp.ToDatetime(tzinfo=UTC) if timestamp.seconds else None
