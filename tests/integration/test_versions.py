"""Workers that have versions, on the real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.client import Client
from temporalio.common import VersioningBehavior
from temporalio.service import RPCError

from orders.contracts import ORDERS_QUEUE, PlaceOrder, order_workflow_id, shipment_workflow_id
from orders.ledger.engine import Database
from orders.model import OrderStatus
from orders.policy import Policy, ReviewMode
from orders.settings import PartnerSettings, TemporalSettings, WorkerSettings, load
from orders.temporal import connect
from orders.workflows.order import OrderWorkflow
from tests.examples import DETAILS, new_id
from workers.queues import QUEUES
from workers.runner import worker


def deployment(queue: str) -> str:
    """Each queue has processes of its own, which replace each other, as in the chart."""
    return f"shop/{queue}"


@pytest.fixture
async def versioned(
    temporal_settings: TemporalSettings, process_name: str, database: Database
) -> AsyncIterator[Client]:
    """Workers of version v1 of each queue."""
    client = await connect(temporal_settings.model_copy(update={"namespace": f"{process_name}-probed"}))
    async with AsyncExitStack() as running:
        for queue, work in QUEUES.items():
            settings = load(
                WorkerSettings,
                WORKER_GRACEFUL_SHUTDOWN=1,
                WORKER_DEPLOYMENT_NAME=deployment(queue),
                WORKER_BUILD_ID="v1",
            )
            await running.enter_async_context(worker(client, queue, work(database, load(PartnerSettings)), settings))
        yield client


async def make_current(client: Client, queue: str) -> None:
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace, deployment_name=deployment(queue), build_id="v1", identity="tests"
    )
    async with asyncio.timeout(20):
        while True:
            try:
                await client.workflow_service.set_worker_deployment_current_version(request)
            except RPCError:
                # Temporal hears of a version by the first request for tasks.
                await asyncio.sleep(0.05)
            else:
                return


async def behaviour(client: Client, workflow_id: str) -> tuple[int, str, str]:
    found = (await client.get_workflow_handle(workflow_id).describe()).raw_description.workflow_execution_info
    version = found.versioning_info.deployment_version
    return found.versioning_info.behavior, version.deployment_name, version.build_id


async def test_an_order_goes_through_workers_with_versions_and_moves_on_while_its_parcel_stays(
    versioned: Client,
) -> None:
    await asyncio.gather(*(make_current(versioned, queue) for queue in QUEUES))
    order_id = new_id()
    status = await versioned.execute_workflow(
        OrderWorkflow.run,
        PlaceOrder(order_id, DETAILS, datetime.now(UTC), "ann", Policy(review_mode=ReviewMode.OFF)),
        id=order_workflow_id(order_id),
        task_queue=ORDERS_QUEUE,
    )
    assert status is OrderStatus.COMPLETED
    assert await behaviour(versioned, order_workflow_id(order_id)) == (
        VersioningBehavior.AUTO_UPGRADE,
        "shop/orders",
        "v1",
    )
    assert await behaviour(versioned, shipment_workflow_id(f"{order_id}:1")) == (
        VersioningBehavior.PINNED,
        "shop/shipping",
        "v1",
    )
