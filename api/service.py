"""What the API does with orders: it starts workflows, sends them messages, and reads the ledger."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateHandle,
    WorkflowUpdateStage,
)
from temporalio.client import WorkflowUpdateRPCTimeoutOrCancelledError as NoAnswerInTime
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from api.errors import UnknownOrder
from orders.contracts import (
    ORDER_MEMO,
    ORDERS_QUEUE,
    REFUSED,
    AmendOrder,
    CancelOrder,
    CancelPayment,
    CarrierEvent,
    ChangeAddress,
    Message,
    PaymentNotice,
    PlaceOrder,
    RecordRefusal,
    RetryPayment,
    ReviewOrder,
    order_workflow_id,
    refusal_workflow_id,
    shipment_workflow_id,
)
from orders.details import OrderDetails
from orders.errors import DependencyUnavailable, Refused
from orders.ledger.reader import LedgerReader, Trail
from orders.model import FINAL, Origin, Said, ShipmentStatus
from orders.order import Order, receive
from orders.policy import Policy
from orders.temporal import AWAY
from orders.workflows.order import OrderWorkflow
from orders.workflows.refusal import RefusalWorkflow
from orders.workflows.shipping import ShippingWorkflow

T = TypeVar("T")
logger = logging.getLogger(__name__)
ORDER_ID = re.compile(r"ord_[0-9a-f]{24}", re.ASCII)
"""The form of every order's id."""
CLOSED_MEANWHILE = "AcceptedUpdateCompletedWorkflow"
"""The type of error with which Temporal answers an update whose workflow has ended before it did."""
OrderHandle = WorkflowHandle[OrderWorkflow, Any]


@dataclass(frozen=True)
class Told:
    """What became of a message: ``settled`` is False while the order still works on it."""

    order: Order
    settled: bool


class OrderService:
    """Orders, as HTTP needs them."""

    def __init__(self, client: Client, ledger: LedgerReader, policy: Policy, timeout: timedelta) -> None:
        self._client = client
        self._ledger = ledger
        self._policy = policy
        self._timeout = timeout

    async def place(self, details: OrderDetails, caller: Origin) -> Order:
        """Start an order's life.

        Raises:
            DependencyUnavailable: Temporal can't be reached.
        """
        order_id = f"ord_{secrets.token_hex(12)}"
        placed = PlaceOrder(order_id, details, datetime.now(UTC), caller.actor, self._policy, caller.trace_id)
        await self._ask_temporal(
            lambda: self._client.start_workflow(
                OrderWorkflow.run,
                placed,
                id=order_workflow_id(order_id),
                task_queue=ORDERS_QUEUE,
                memo={ORDER_MEMO: placed},
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                rpc_timeout=self._timeout,
            )
        )
        return _as_placed(placed)

    async def get(self, order_id: str) -> Order:
        """Return an order: from the ledger, or from Temporal while its first row is not yet written.

        Raises:
            UnknownOrder: neither knows it.
            DependencyUnavailable: PostgreSQL or Temporal can't be reached.
        """
        return await self._ledger.order(order_id) or await self._just_placed(order_id)

    async def trail(self, order_id: str, after: int) -> Trail:
        """Return an order's audit trail from behind ``after``, or as much of it as is read at once.

        Raises:
            UnknownOrder: there is no such order.
            DependencyUnavailable: PostgreSQL or Temporal can't be reached.
        """
        trail = await self._ledger.trail(order_id, after)
        if trail is None:
            await self._just_placed(order_id)
        return trail or Trail([], reached=0, is_over=False)

    async def tell(self, order_id: str, message: Message) -> Told:
        """Send an order a message and wait a while for what comes of it.

        Raises:
            UnknownOrder: there is no such order.
            Refused: the order can't take the message where it stands.
            DependencyUnavailable: PostgreSQL or Temporal can't be reached, or no worker answers.
        """
        handle: OrderHandle = self._client.get_workflow_handle_for(OrderWorkflow.run, order_workflow_id(order_id))
        settled = True
        deadline = time.monotonic() + self._timeout.total_seconds()
        try:
            update = await self._ask_temporal(
                lambda: handle.start_update(
                    getattr(OrderWorkflow, _UPDATES[type(message)]),
                    message,
                    wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                    rpc_timeout=self._timeout,
                )
            )
            settled = await self._outcome(update, timedelta(seconds=max(0.1, deadline - time.monotonic())))
        except WorkflowUpdateFailedError as error:
            if isinstance(error.cause, ApplicationError) and error.cause.type == REFUSED:
                raise Refused(error.cause.message) from error
            if not (isinstance(error.cause, ApplicationError) and error.cause.type == CLOSED_MEANWHILE):
                raise
            order = await self.get(order_id)
            raise Refused(f"the order is {order.status}: its life is over") from error
        except _NotRunning as error:
            order = await self.get(order_id)
            reason = f"the order is {order.status}: its life is over"
            await self._record_refusal(order, _UPDATES[type(message)], reason, message)
            raise Refused(reason) from error
        return Told(await self.get(order_id), settled)

    async def hear_carrier(self, shipment_id: str, event: CarrierEvent, caller: Origin) -> str | None:
        """Pass on what a carrier tells of a parcel; the answer says why it was not, if it was not.

        Raises:
            UnknownOrder: there is no such parcel.
            Refused: its journey has not begun.
            DependencyUnavailable: PostgreSQL or Temporal can't be reached.
        """
        handle = self._client.get_workflow_handle_for(ShippingWorkflow.run, shipment_workflow_id(shipment_id))
        try:
            await self._ask_temporal(
                lambda: handle.signal(ShippingWorkflow.carrier_event, event, rpc_timeout=self._timeout)
            )
        except _NotRunning as error:
            order = await self.get(shipment_id.rpartition(":")[0])
            found = next((shipment for shipment in order.shipments if shipment.id == shipment_id), None)
            if found is None:
                raise UnknownOrder(shipment_id, "parcel") from error
            if found.status is ShipmentStatus.REQUESTED and order.status not in FINAL:
                raise Refused("the parcel is only just being asked for: tell it again in a moment") from error
            reason = f"the parcel's journey is over: {event.status} changes nothing"
            await self._record_refusal(order, "carrier_event", reason, caller)
            return reason
        return None

    async def hear_provider(self, order_id: str, notice: PaymentNotice) -> str | None:
        """Pass on what the payment provider tells of an order's money; the answer says why it was not, if it was not.

        Raises:
            UnknownOrder: there is no such order.
            DependencyUnavailable: PostgreSQL or Temporal can't be reached.
        """
        handle: OrderHandle = self._client.get_workflow_handle_for(OrderWorkflow.run, order_workflow_id(order_id))
        try:
            await self._ask_temporal(
                lambda: handle.signal(OrderWorkflow.payment_noticed, notice, rpc_timeout=self._timeout)
            )
        except _NotRunning:
            order = await self.get(order_id)
            reason = f"the order is {order.status}: {notice.kind} changes nothing"
            if notice.problem:
                reason = f"the order is {order.status}, and {notice.problem}: somebody has to look after it"
                logger.error("%s: %s", order_id, reason)
            await self._record_refusal(order, "payment_notice", reason, notice)
            return reason
        return None

    async def paid_by(self, reference: str) -> str | None:
        """Find the order that a payment is for, by the provider's own reference.

        Raises:
            DependencyUnavailable: PostgreSQL can't be reached.
        """
        return await self._ledger.order_paid_by(reference)

    async def _record_refusal(self, order: Order, request: str, reason: str, by: Said) -> None:
        """Put on record that something came after the end of an order, whose own workflow is gone."""
        if order.status not in FINAL:
            return
        message_id = secrets.token_hex(8)
        refusal = RecordRefusal(order.id, message_id, request, reason, datetime.now(UTC), by.actor, by.trace_id)
        await self._ask_temporal(
            lambda: self._client.start_workflow(
                RefusalWorkflow.run,
                refusal,
                id=refusal_workflow_id(order.id, message_id),
                task_queue=ORDERS_QUEUE,
                rpc_timeout=self._timeout,
            )
        )

    async def _outcome(self, update: WorkflowUpdateHandle[Any], patience: timedelta) -> bool:
        """Wait for what comes of a message that was accepted; False if that is not known in time."""
        try:
            await update.result(rpc_timeout=patience)
        except NoAnswerInTime:
            return False
        except RPCError as error:
            if error.status not in AWAY:
                raise
            # It was accepted, so it will be carried out, whether we can watch it or not.
            return False
        return True

    async def _just_placed(self, order_id: str) -> Order:
        handle = self._client.get_workflow_handle(order_workflow_id(order_id))
        try:
            description = await self._ask_temporal(lambda: handle.describe(rpc_timeout=self._timeout))
        except _NotRunning as error:
            raise UnknownOrder(order_id) from error
        return _as_placed(await description.memo_value(ORDER_MEMO, type_hint=PlaceOrder))

    async def _ask_temporal(self, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            return await ask()
        except NoAnswerInTime as error:
            raise DependencyUnavailable("a worker of the order", "it took no message in time") from error
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND and "namespace" not in error.message.lower():
                raise _NotRunning from error
            if error.status in AWAY or error.status is RPCStatusCode.NOT_FOUND:
                raise DependencyUnavailable("Temporal", error.message) from error
            raise
        except RuntimeError as error:
            # A lazy client that could not make its first connection.
            raise DependencyUnavailable("Temporal", "nothing answers at TEMPORAL_ADDRESS") from error


class _NotRunning(Exception):
    """Temporal runs no such workflow: it never did, or it has ended."""


_UPDATES: dict[type[Message], str] = {
    CancelOrder: "cancel",
    ReviewOrder: "review",
    AmendOrder: "amend",
    ChangeAddress: "change_address",
    CancelPayment: "cancel_payment",
    RetryPayment: "retry_payment",
}


def _as_placed(placed: PlaceOrder) -> Order:
    order, _ = receive(placed.order_id, placed.details, placed.placed_at, Origin(placed.actor, placed.trace_id))
    return order
