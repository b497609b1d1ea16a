"""What the API does with orders: it starts workflows, sends them messages, and reads the ledger."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
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
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from api.errors import KeyReused, Stale, UnknownOrder
from api.links import Links
from orders.contracts import (
    KEY_REUSED,
    ORDER_MEMO,
    ORDERS_QUEUE,
    REFUSED,
    STALE,
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
    Terms,
    order_workflow_id,
    refusal_workflow_id,
    shipment_workflow_id,
)
from orders.deadline import remaining
from orders.details import OrderDetails
from orders.errors import DependencyUnavailable, Overloaded, Refused
from orders.ledger.reader import LedgerReader, Trail
from orders.model import FINAL, Origin, Said, ShipmentStatus
from orders.order import Order, receive
from orders.policy import Policy
from orders.telemetry.context import about, traceparent
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
A_LITTLE = timedelta(seconds=0.1)
FOR_READING = 0.2
"""The share of a message's time that is kept for reading what became of it."""
OrderHandle = WorkflowHandle[OrderWorkflow, Any]


@dataclass(frozen=True)
class Placed:
    """An order that was placed: now, or, as ``is_repeat`` says, before under the same key."""

    order: Order
    is_repeat: bool


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
        self._links = Links(self._placed_in)

    @property
    def _patience(self) -> timedelta:
        return remaining(self._timeout)

    async def place(self, details: OrderDetails, caller: Origin, key: str | None = None) -> Placed:
        """Start an order's life, unless the caller has started it before under this key.

        Raises:
            KeyReused: it was another order that they have placed under it.
            DependencyUnavailable: Temporal can't be reached, or, where there is a key, PostgreSQL.
        """
        order_id = f"ord_{_digest(caller.actor, key) if key else secrets.token_hex(12)}"
        about(order_id)
        # Temporal forgets an order some time after its end, the ledger does not: it is asked first.
        if key and (before := await self._ledger.details_as_placed(order_id)):
            return await self._place_again(order_id, before, details)
        placed = PlaceOrder(
            order_id, details, datetime.now(UTC), caller.actor, self._policy, caller.trace_id, traceparent()
        )
        try:
            await self._ask_temporal(
                lambda: self._client.start_workflow(
                    OrderWorkflow.run,
                    placed,
                    id=order_workflow_id(order_id),
                    task_queue=ORDERS_QUEUE,
                    memo={ORDER_MEMO: placed},
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    rpc_timeout=self._patience,
                )
            )
        except WorkflowAlreadyStartedError:
            return await self._place_again(order_id, (await self._memo(order_id)).details, details)
        return Placed(_as_placed(placed), is_repeat=False)

    async def _place_again(self, order_id: str, before: OrderDetails, now: OrderDetails) -> Placed:
        if before != now:
            raise KeyReused(f"another order was placed with it, {order_id}: take a new key for a new order")
        async with self._links.to(order_id):
            return Placed(await self.get(order_id), is_repeat=True)

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
        return trail or Trail([], reached=after, is_over=False)

    async def tell(self, order_id: str, message: Message) -> Told:
        """Send an order a message and wait a while for what comes of it.

        Raises:
            UnknownOrder: there is no such order.
            Refused: the order can't take the message where it stands.
            Stale: the order is in none of the versions that the message is for.
            KeyReused: the message's key came with another message to this order.
            DependencyUnavailable: PostgreSQL or Temporal can't be reached, or no worker answers.
        """
        async with self._links.to(order_id):
            return await self._tell(order_id, message)

    async def _tell(self, order_id: str, message: Message) -> Told:
        handle: OrderHandle = self._client.get_workflow_handle_for(OrderWorkflow.run, order_workflow_id(order_id))
        settled = True
        try:
            update = await self._ask_temporal(
                lambda: handle.start_update(
                    getattr(OrderWorkflow, _UPDATES[type(message)]),
                    message,
                    id=_update_id(message),
                    wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                    rpc_timeout=self._patience,
                )
            )
            settled = await self._outcome(update, max(A_LITTLE, self._patience - self._timeout * FOR_READING))
        except WorkflowUpdateFailedError as error:
            raise await self._refusal(order_id, error) from error
        except _NotRunning as error:
            raise await self._refusal_after_the_end(await self.get(order_id), message) from error
        try:
            return Told(await self.get(order_id), settled)
        except Overloaded as error:
            # The message was taken, so that it is not as if nothing had been done.
            raise DependencyUnavailable("PostgreSQL", str(error)) from error

    async def _refusal(self, order_id: str, error: WorkflowUpdateFailedError) -> Exception:
        if not isinstance(error.cause, ApplicationError):
            return error
        if error.cause.type == CLOSED_MEANWHILE:
            return Refused(_is_over(await self.get(order_id)))
        if error.cause.type == STALE:
            return Stale(error.cause.details[0])
        kind = _REFUSALS.get(error.cause.type or "")
        return kind(error.cause.message) if kind else error

    async def _refusal_after_the_end(self, order: Order, message: Message) -> Exception:
        versions = message.terms.versions
        if versions is not None and order.version not in versions:
            return Stale(order.version)
        reason = _is_over(order)
        await self._record_refusal(order, _UPDATES[type(message)], reason, message, _update_id(message))
        return Refused(reason)

    async def hear_carrier(self, shipment_id: str, event: CarrierEvent, caller: Origin) -> str | None:
        """Pass on what a carrier tells of a parcel; the answer says why it was not, if it was not.

        Raises:
            UnknownOrder: there is no such parcel.
            Refused: its journey has not begun.
            DependencyUnavailable: PostgreSQL or Temporal can't be reached.
        """
        order_id = shipment_id.rpartition(":")[0]
        handle = self._client.get_workflow_handle_for(ShippingWorkflow.run, shipment_workflow_id(shipment_id))
        try:
            async with self._links.to(order_id):
                await self._ask_temporal(
                    lambda: handle.signal(ShippingWorkflow.carrier_event, event, rpc_timeout=self._patience)
                )
        except _NotRunning as error:
            order = await self.get(order_id)
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
            async with self._links.to(order_id):
                await self._ask_temporal(
                    lambda: handle.signal(OrderWorkflow.payment_noticed, notice, rpc_timeout=self._patience)
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

    async def _record_refusal(
        self, order: Order, request: str, reason: str, by: Said, message_id: str | None = None
    ) -> None:
        """Put on record that something came after the end of an order, whose own workflow is gone."""
        if order.status not in FINAL:
            return
        message_id = message_id or secrets.token_hex(8)
        refusal = RecordRefusal(order.id, message_id, request, reason, datetime.now(UTC), by.actor, by.trace_id)
        await self._ask_temporal(
            lambda: self._client.start_workflow(
                RefusalWorkflow.run,
                refusal,
                id=refusal_workflow_id(order.id, message_id),
                task_queue=ORDERS_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                rpc_timeout=self._patience,
            )
        )

    async def _placed_in(self, order_id: str) -> str | None:
        return await self._ledger.traceparent(order_id) or (await self._memo(order_id)).traceparent

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
        return _as_placed(await self._memo(order_id))

    async def _memo(self, order_id: str) -> PlaceOrder:
        handle = self._client.get_workflow_handle(order_workflow_id(order_id))
        try:
            description = await self._ask_temporal(lambda: handle.describe(rpc_timeout=self._patience))
        except _NotRunning as error:
            raise UnknownOrder(order_id) from error
        placed: PlaceOrder = await description.memo_value(ORDER_MEMO, type_hint=PlaceOrder)
        return placed

    async def _ask_temporal(self, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            return await ask()
        except NoAnswerInTime as error:
            raise DependencyUnavailable("a worker of the order", "it took no message in time") from error
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND and "namespace" not in error.message.lower():
                raise _NotRunning from error
            if error.status is RPCStatusCode.RESOURCE_EXHAUSTED:
                # Temporal has a limit of its own: ten messages of one order at work at a time, or so many requests.
                raise Overloaded("Temporal takes no more at the moment") from error
            if error.status is RPCStatusCode.FAILED_PRECONDITION:
                # Its last task has failed, as it does on a worker that is being killed, or was overrun; it is tried again.
                raise DependencyUnavailable("a worker of the order", error.message) from error
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


_REFUSALS: dict[str, type[Refused | KeyReused]] = {REFUSED: Refused, KEY_REUSED: KeyReused}


def _digest(*parts: str) -> str:
    """Give what stands for these parts, and for no others, in as many digits as an order's id has."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def terms(caller: Origin, key: str | None, versions: tuple[int, ...] | None) -> Terms:
    """Give the terms of a message; two callers may use the same key for different things."""
    return Terms(_digest(caller.actor, key) if key else None, versions)


def _update_id(message: Message) -> str | None:
    """Give the id by which Temporal knows a message that comes again, from its key and from what it says."""
    if message.terms.key is None:
        return None
    said = {**asdict(message), "terms": None, "trace_id": None}
    return f"{message.terms.key}-{_digest(_UPDATES[type(message)], json.dumps(said, sort_keys=True))}"


def _is_over(order: Order) -> str:
    return f"the order is {order.status}: its life is over"


def _as_placed(placed: PlaceOrder) -> Order:
    order, _ = receive(placed.order_id, placed.details, placed.placed_at, Origin(placed.actor, placed.trace_id))
    return order
