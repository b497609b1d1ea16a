"""Workers that replace each other while orders are under way, with versions and without, on the real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.common import VersioningBehavior
from temporalio.service import RPCError

from orders.contracts import (
    ORDERS_QUEUE,
    PAYMENTS_QUEUE,
    SHIPPING_QUEUE,
    CarrierEvent,
    PlaceOrder,
    ReviewOrder,
    order_workflow_id,
    shipment_workflow_id,
)
from orders.ledger.engine import Database
from orders.ledger.reader import LedgerReader
from orders.model import OrderStatus, ShipmentStatus
from orders.order import fold
from orders.policy import Policy, ReviewMode
from orders.settings import PartnerSettings, TemporalSettings, WorkerSettings, load
from orders.temporal import connect
from orders.workflows.order import OrderWorkflow
from orders.workflows.shipping import ShippingWorkflow
from tests.examples import DETAILS, TOTAL, new_id
from tests.newer import LOOK_BACK, THINK_TWICE, WRAP, NewerOrder, NewerParcel, OtherParcel
from workers.queues import QUEUES
from workers.runner import worker

NO_REVIEW = Policy(review_mode=ReviewMode.OFF)
BY_PERSON = Policy(review_mode=ReviewMode.REQUIRED, review_timeout=timedelta(days=1))
APPROVE = ReviewOrder(approved=True, note=None, actor="rita")
AUTO_UPGRADE, PINNED = VersioningBehavior.AUTO_UPGRADE, VersioningBehavior.PINNED
OTHERS = (PAYMENTS_QUEUE, SHIPPING_QUEUE)


AN_HOUR = 3600.0
"""How long, in seconds, a parcel travels of which its carrier says nothing."""


def deployment(queue: str) -> str:
    """Each queue has processes of its own, which replace each other, as in the chart."""
    return f"shop/{queue}"


@dataclass
class Shop:
    """Places orders in a namespace of its own, and employs workers that may leave."""

    client: Client
    database: Database

    @asynccontextmanager
    async def workers(
        self, *queues: str, version: str | None = None, changed: dict[type, type] | None = None
    ) -> AsyncIterator[AsyncExitStack]:
        """Employ workers of some queues, of a version or of none, some workflows changed; they leave when closed."""
        async with AsyncExitStack() as running:
            for queue in queues:
                work = QUEUES[queue](self.database, load(PartnerSettings, CARRIER_TRANSIT=AN_HOUR))
                workflows = [(changed or {}).get(each, each) for each in work.workflows]
                named = {"WORKER_DEPLOYMENT_NAME": deployment(queue), "WORKER_BUILD_ID": version} if version else {}
                settings = load(WorkerSettings, WORKER_GRACEFUL_SHUTDOWN=1, **named)
                employed = worker(self.client, queue, replace(work, workflows=workflows), settings)
                await running.enter_async_context(employed)
            yield running

    async def make_current(self, version: str) -> None:
        """Let a version have what begins from now on, and the orders that are under way."""
        async with asyncio.timeout(30):
            await asyncio.gather(*(self._make_current(deployment(queue), version) for queue in QUEUES))

    async def place(self, policy: Policy) -> WorkflowHandle[OrderWorkflow, OrderStatus]:
        order_id = new_id()
        return await self.client.start_workflow(
            OrderWorkflow.run,
            PlaceOrder(order_id, DETAILS, datetime.now(UTC), "ann", policy),
            id=order_workflow_id(order_id),
            task_queue=ORDERS_QUEUE,
        )

    async def deliver(self, order: WorkflowHandle[OrderWorkflow, OrderStatus]) -> None:
        """Have the carrier say that an order's parcel has arrived."""
        parcel = self.client.get_workflow_handle(parcel_of(order.id))
        await parcel.signal(
            ShippingWorkflow.carrier_event, CarrierEvent("evt_1", ShipmentStatus.DELIVERED, datetime.now(UTC))
        )

    async def until(self, order: WorkflowHandle[OrderWorkflow, OrderStatus], status: OrderStatus) -> None:
        async with asyncio.timeout(30):
            while (await order.query(OrderWorkflow.progress)).status is not status:  # noqa: ASYNC110 - asked over the network
                await asyncio.sleep(0.05)

    async def patches(self, workflow_id: str) -> set[str]:
        """Which patches a workflow has gone through."""
        found = await self.client.get_workflow_handle(workflow_id).fetch_history()
        markers = [event.marker_recorded_event_attributes for event in found.events]
        data = [mark.details["patch-data"] for mark in markers if mark.marker_name == "core_patch"]
        return {json.loads(each.payloads[0].data)["id"] for each in data}

    async def has_ended_right(self, order: WorkflowHandle[OrderWorkflow, OrderStatus]) -> bool:
        """Whether an order is completed, paid once, and what its trail says."""
        async with asyncio.timeout(30):
            status = await order.result()
        order_id = order.id.removeprefix("order:")
        reader = LedgerReader(self.database)
        found, trail = await reader.order(order_id), await reader.trail(order_id)
        assert found
        assert trail
        assert fold(order_id, trail.events) == found
        return (status, found.payment.held) == (OrderStatus.COMPLETED, TOTAL)

    async def _make_current(self, deployment: str, version: str) -> None:
        request = SetWorkerDeploymentCurrentVersionRequest(
            namespace=self.client.namespace, deployment_name=deployment, build_id=version, identity="tests"
        )
        while True:
            try:
                await self.client.workflow_service.set_worker_deployment_current_version(request)
            except RPCError:
                # Temporal hears of a version by the first request for tasks.
                await asyncio.sleep(0.05)
            else:
                return


OpenShop = Callable[[str], Awaitable[Shop]]


@pytest.fixture
def open_shop(temporal_settings: TemporalSettings, process_name: str, database: Database) -> OpenShop:
    async def opened(namespace: str) -> Shop:
        name = f"{process_name}-{namespace}"
        return Shop(await connect(temporal_settings.model_copy(update={"namespace": name})), database)

    return opened


def parcel_of(workflow_id: str) -> str:
    return shipment_workflow_id(f"{workflow_id.removeprefix('order:')}:1")


async def version_of(client: Client, workflow_id: str) -> tuple[int, str, str]:
    found = (await client.get_workflow_handle(workflow_id).describe()).raw_description.workflow_execution_info
    version = found.versioning_info.deployment_version
    return found.versioning_info.behavior, version.deployment_name, version.build_id


async def test_orders_under_way_move_on_to_a_new_version_and_parcels_end_on_theirs(open_shop: OpenShop) -> None:
    shop = await open_shop("upgraded")
    newer = {OrderWorkflow: NewerOrder, ShippingWorkflow: OtherParcel}
    async with shop.workers(ORDERS_QUEUE, version="v1") as leaving, shop.workers(*OTHERS, version="v1"):
        await shop.make_current("v1")
        reviewed, shipped = await shop.place(BY_PERSON), await shop.place(NO_REVIEW)
        await shop.until(reviewed, OrderStatus.IN_REVIEW)
        await shop.until(shipped, OrderStatus.SHIPPED)
        async with shop.workers(*QUEUES, version="v2", changed=newer):
            await shop.make_current("v2")
            await leaving.aclose()
            await reviewed.execute_update(OrderWorkflow.review, APPROVE)
            await shop.until(reviewed, OrderStatus.SHIPPED)
            for order in (reviewed, shipped):
                await shop.deliver(order)
                assert await shop.has_ended_right(order)
                assert await version_of(shop.client, order.id) == (AUTO_UPGRADE, "shop/orders", "v2")
                assert await shop.patches(order.id) == {LOOK_BACK}
            assert await version_of(shop.client, parcel_of(shipped.id)) == (PINNED, "shop/shipping", "v1")
            assert await version_of(shop.client, parcel_of(reviewed.id)) == (PINNED, "shop/shipping", "v2")


async def test_orders_and_parcels_under_way_go_on_with_patched_workflows_where_workers_have_no_version(
    open_shop: OpenShop,
) -> None:
    shop = await open_shop("replaced")
    newer = {OrderWorkflow: NewerOrder, ShippingWorkflow: NewerParcel}
    async with shop.workers(*QUEUES):
        reviewed, shipped = await shop.place(BY_PERSON), await shop.place(NO_REVIEW)
        await shop.until(reviewed, OrderStatus.IN_REVIEW)
        await shop.until(shipped, OrderStatus.SHIPPED)
    async with shop.workers(*QUEUES, changed=newer):
        begun_later = await shop.place(NO_REVIEW)
        await reviewed.execute_update(OrderWorkflow.review, APPROVE)
        for order in (reviewed, shipped, begun_later):
            await shop.until(order, OrderStatus.SHIPPED)
            await shop.deliver(order)
            assert await shop.has_ended_right(order)
        found = [await shop.patches(order.id) for order in (reviewed, shipped, begun_later)]
        assert found == [{LOOK_BACK}, {LOOK_BACK}, {THINK_TWICE, LOOK_BACK}]
        found = [await shop.patches(parcel_of(order.id)) for order in (reviewed, shipped, begun_later)]
        assert found == [{WRAP}, set(), {WRAP}]
