"""A shop whose workflows are real and whose partners are fakes, on a server that skips time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError, WorkflowUpdateStage
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Interceptor, Replayer, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import _Definition

from orders.activities.ledger import LedgerActivities
from orders.activities.payments import PaymentActivities
from orders.activities.shipping import ShippingActivities
from orders.contracts import (
    ORDERS_QUEUE,
    PAYMENTS_QUEUE,
    REFUSED,
    SHIPPING_QUEUE,
    CancelOrder,
    CarrierEvent,
    PlaceOrder,
    RetryPayment,
    ReviewOrder,
    order_workflow_id,
    shipment_workflow_id,
)
from orders.details import OrderDetails
from orders.model import Event, OrderStatus, ShipmentStatus
from orders.order import Order, fold
from orders.policy import CaptureMode, Patience, Policy, ReviewMode
from orders.settings import TemporalSettings
from orders.temporal import connect
from orders.workflows.order import OrderWorkflow
from orders.workflows.refusal import RefusalWorkflow
from orders.workflows.shipping import ShippingWorkflow
from tests.examples import DETAILS, new_id
from tests.fakes import FakeCarrier, FakeLedger, FakePayments, FakeWarehouse

ACCEPTED = WorkflowUpdateStage.ACCEPTED
CANCEL = CancelOrder("changed my mind", "ann")
DECLINED = replace(DETAILS, payment_method="tok_declined")
LONG_REVIEW = Policy(review_timeout=timedelta(days=1))
NO_REVIEW = Policy(review_mode=ReviewMode.OFF)
BY_PERSON = Policy(review_mode=ReviewMode.REQUIRED, review_timeout=timedelta(days=3))
ON_DISPATCH = Policy(review_mode=ReviewMode.OFF, payment_capture=CaptureMode.ON_DISPATCH)
QUICKLY_STUCK = Patience(
    timeout=timedelta(seconds=0.5),
    retry_after=timedelta(seconds=0.05),
    retry_at_most_after=timedelta(seconds=0.1),
    stuck_after=timedelta(seconds=0.3),
)
IMPATIENT = replace(NO_REVIEW, partners=QUICKLY_STUCK)
APPROVE = ReviewOrder(approved=True, note="looks fine", actor="rita", trace_id="a" * 32)
REJECT = ReviewOrder(approved=False, note="looks like fraud", actor="rob", trace_id="b" * 32)
OTHER_CARD = RetryPayment("tok_amex", "ann", trace_id="c" * 32)
A_LONG_WAY = 10**6
"""How often a carrier is asked about a parcel that arrives only when a test says so."""
OrderHandle = WorkflowHandle[OrderWorkflow, OrderStatus]


class Sandbox(SandboxedWorkflowRunner):
    """The sandbox, which each worker would have look anew whether it can import a workflow: once is enough."""

    known: ClassVar[set[type]] = set()

    def prepare_workflow(self, defn: _Definition) -> None:
        if defn.cls not in self.known:
            super().prepare_workflow(defn)
            self.known.add(defn.cls)


SANDBOX = Sandbox()


@dataclass
class Shop:
    environment: WorkflowEnvironment
    ledger: FakeLedger = field(default_factory=FakeLedger)
    payments: FakePayments = field(default_factory=FakePayments)
    warehouse: FakeWarehouse = field(default_factory=FakeWarehouse)
    carrier: FakeCarrier = field(default_factory=FakeCarrier)
    order_id: str = field(default_factory=new_id)
    interceptors: list[Interceptor] = field(default_factory=list)

    async def place(
        self,
        details: OrderDetails = DETAILS,
        policy: Policy = NO_REVIEW,
        trace_id: str | None = None,
        task_timeout: timedelta | None = None,
    ) -> OrderHandle:
        return await self.environment.client.start_workflow(
            OrderWorkflow.run,
            PlaceOrder(self.order_id, details, datetime.now(UTC), "ann", policy, trace_id),
            id=order_workflow_id(self.order_id),
            task_queue=ORDERS_QUEUE,
            task_timeout=task_timeout,
        )

    async def until(self, event: str, times: int = 1) -> None:
        """Wait until an event stands in the ledger."""
        async with asyncio.timeout(20):
            while self.trail.count(event) < times:  # noqa: ASYNC110 - the ledger is written by another thread
                await asyncio.sleep(0.01)

    async def until_the_ledger_fails(self) -> None:
        """Wait until the ledger has refused a write."""
        async with asyncio.timeout(20):
            while not self.ledger.turned_away:  # noqa: ASYNC110 - the ledger is written by another thread
                await asyncio.sleep(0.01)

    async def carrier_says(self, status: ShipmentStatus, event_id: str = "evt_1") -> None:
        """Tell the parcel what a carrier's webhook would."""
        handle = self.environment.client.get_workflow_handle_for(
            ShippingWorkflow.run, shipment_workflow_id(self.shipment_id)
        )
        await handle.signal(ShippingWorkflow.carrier_event, CarrierEvent(event_id, status, datetime.now(UTC)))

    def said(self, kind: str) -> Event:
        """The last event of a type."""
        return [event for event in self.ledger.trails[self.order_id] if event.type == kind][-1]

    @property
    def last(self) -> Event:
        """The last event of the trail."""
        return self.ledger.trails[self.order_id][-1]

    @property
    def order(self) -> Order:
        """The order as the ledger has it, which is what its events make of it."""
        found = self.ledger.orders[self.order_id]
        assert fold(self.order_id, self.ledger.trails[self.order_id]) == found
        return found

    @property
    def trail(self) -> list[str]:
        return self.ledger.types(self.order_id)

    @property
    def shipment_id(self) -> str:
        return f"{self.order_id}:1"

    async def replay(self, order: Order | None = None) -> None:
        """Lead the order and its parcels through their histories again: the code must decide the same."""
        client = self.environment.client
        replayer = Replayer(
            workflows=[OrderWorkflow, ShippingWorkflow],
            workflow_runner=SANDBOX,
            data_converter=client.data_converter,
            interceptors=self.interceptors,
        )
        order = order or (self.order if self.trail else None)
        shipments = [shipment.id for shipment in order.shipments] if order else []
        for workflow_id in [order_workflow_id(self.order_id), *map(shipment_workflow_id, shipments)]:
            await replayer.replay_workflow(await client.get_workflow_handle(workflow_id).fetch_history())

    def workers(self, *clients: Client) -> list[Worker]:
        """For orders, payments and shipments, each with a client of its own where they are given."""
        of_orders, of_payments, of_shipping = clients or [self.environment.client] * 3
        shipping = ShippingActivities(self.warehouse, self.carrier)
        payments = PaymentActivities(self.payments)
        ledger = LedgerActivities(self.ledger)
        return [
            Worker(
                of_orders,
                task_queue=ORDERS_QUEUE,
                workflows=[OrderWorkflow, RefusalWorkflow],
                workflow_runner=SANDBOX,
                interceptors=self.interceptors,
                activities=[ledger.record, ledger.record_refusal],
                activity_executor=ThreadPoolExecutor(2),
            ),
            Worker(
                of_payments,
                task_queue=PAYMENTS_QUEUE,
                activities=[payments.authorize, payments.capture, payments.void, payments.refund],
            ),
            Worker(
                of_shipping,
                task_queue=SHIPPING_QUEUE,
                workflows=[ShippingWorkflow],
                workflow_runner=SANDBOX,
                interceptors=self.interceptors,
                activities=[shipping.prepare, shipping.dispatch, shipping.put_back, shipping.track],
            ),
        ]


@asynccontextmanager
async def opened(environment: WorkflowEnvironment) -> AsyncIterator[Shop]:
    found = Shop(environment)
    async with AsyncExitStack() as running:
        for each in found.workers():
            await running.enter_async_context(each)
        yield found
    await found.replay()


@pytest.fixture
async def shop(time_skipping: WorkflowEnvironment) -> AsyncIterator[Shop]:
    async with opened(time_skipping) as found:
        yield found


@pytest.fixture
async def shop_on_the_real_server(temporal_settings: TemporalSettings, process_name: str) -> AsyncIterator[Shop]:
    """For what the test server doesn't do: it tells no parent that its child was terminated."""
    client = await connect(temporal_settings.model_copy(update={"namespace": f"{process_name}-shop"}))
    async with opened(WorkflowEnvironment.from_client(client)) as found:
        yield found


async def refusal(asked: asyncio.Task[None]) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await asked
    assert isinstance(refused.value.cause, ApplicationError)
    assert refused.value.cause.type == REFUSED
    return refused.value.cause.message


def ask(handle: OrderHandle, update: object, message: object) -> asyncio.Task[None]:
    return asyncio.ensure_future(handle.execute_update(update, message))  # type: ignore[call-overload]
