"""What becomes of the calls to partners that a worker is at when it is told to leave."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import WorkflowHandle

from orders.contracts import ORDERS_QUEUE, PAYMENTS_QUEUE, SHIPPING_QUEUE, PlaceOrder, order_workflow_id
from orders.ledger.engine import Database
from orders.policy import Policy, ReviewMode
from orders.settings import PartnerSettings, TemporalSettings, WorkerSettings, load
from orders.temporal import connect
from orders.workflows.order import OrderWorkflow
from tests.examples import DETAILS, new_id
from workers.health import Vitals
from workers.queues import QUEUES
from workers.runner import work_on, worker

SOON = load(WorkerSettings, WORKER_GRACEFUL_SHUTDOWN=1)
TIMEOUT = Policy().partners.timeout.total_seconds()


@pytest.fixture
def settings(temporal_settings: TemporalSettings, process_name: str) -> TemporalSettings:
    return temporal_settings.model_copy(update={"namespace": f"{process_name}-draining"})


async def tries_of(handle: WorkflowHandle[OrderWorkflow, object]) -> list[tuple[int, str]]:
    """How often the first call to a partner was tried, and why it had failed before."""
    return [
        (tried.attempt, tried.last_failure.application_failure_info.type)
        async for event in handle.fetch_history_events()
        if event.HasField("activity_task_started_event_attributes")
        for tried in [event.activity_task_started_event_attributes]
    ][:1]


async def is_under_way(handle: WorkflowHandle[OrderWorkflow, object]) -> bool:
    pending = (await handle.describe()).raw_description.pending_activities
    return any(each.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED for each in pending)


@pytest.mark.parametrize(
    ("grace", "tried"),
    [(10, (1, "")), (0.3, (2, "WorkerShutdown"))],
    ids=["a call that ends in time counts", "one that doesn't is handed back at once"],
)
async def test_a_worker_that_leaves(
    settings: TemporalSettings, database: Database, grace: float, tried: tuple[int, str]
) -> None:
    # Each client may have one worker of a queue.
    client, others_client = await connect(settings), await connect(settings)
    slow, stop = load(PartnerSettings, PAYMENT_LATENCY=1), asyncio.Event()
    leaving = work_on(
        client,
        {PAYMENTS_QUEUE: QUEUES[PAYMENTS_QUEUE](database, slow)},
        load(WorkerSettings, WORKER_GRACEFUL_SHUTDOWN=grace),
        stop,
        Vitals(database),
    )
    order_id, policy = new_id(), replace(Policy(), review_mode=ReviewMode.OFF)
    async with AsyncExitStack() as others:
        for queue in (ORDERS_QUEUE, SHIPPING_QUEUE):
            work = QUEUES[queue](database, load(PartnerSettings))
            await others.enter_async_context(worker(client, queue, work, SOON))
        running = asyncio.create_task(leaving)
        handle = await client.start_workflow(
            OrderWorkflow.run,
            PlaceOrder(order_id, DETAILS, datetime.now(UTC), "ann", policy),
            id=order_workflow_id(order_id),
            task_queue=ORDERS_QUEUE,
        )
        while not await is_under_way(handle):  # noqa: ASYNC110 - Temporal tells nobody
            await asyncio.sleep(0.05)
        began = time.monotonic()
        stop.set()
        work = QUEUES[PAYMENTS_QUEUE](database, load(PartnerSettings))
        await others.enter_async_context(worker(others_client, PAYMENTS_QUEUE, work, SOON))
        await handle.result()
        assert time.monotonic() - began < TIMEOUT - 2, "it was taken up only when its time was over"
        assert await tries_of(handle) == [tried]
        await running
