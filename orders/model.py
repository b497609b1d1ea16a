"""What an order is and how it may move.

Everything that the system believes about an order follows from its events: :meth:`Order.record` makes
one, :meth:`Order.apply` is the only code that changes an order, and :func:`fold` rebuilds the order from
its audit trail. The three tables of legal moves below are the only place that says what may follow what;
the workflows, the API and the tests all ask them.
"""

# No postponed annotations here: in the workflow sandbox pydantic could not look up what their names stand for.

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from orders.details import Address, OrderDetails, OrderLine
from orders.errors import IllegalMove

SYSTEM = "system"
"""The actor of what the lifecycle does by itself."""


class OrderStatus(StrEnum):
    """Where the order as a whole stands."""

    RECEIVED = "received"
    VALIDATED = "validated"
    IN_REVIEW = "in_review"
    PAYMENT_FAILED = "payment_failed"
    PAID = "paid"
    FULFILLING = "fulfilling"
    SHIPPED = "shipped"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    FAILED = "failed"


class PaymentStatus(StrEnum):
    """Where the money stands."""

    UNPAID = "unpaid"
    PENDING = "pending"
    CAPTURED = "captured"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    REFUNDING = "refunding"
    REFUNDED = "refunded"


class ShipmentStatus(StrEnum):
    """Where one parcel stands."""

    REQUESTED = "requested"
    PICKED = "picked"
    PACKED = "packed"
    LABELLED = "labelled"
    DISPATCHED = "dispatched"
    DELIVERED = "delivered"
    RECALLED = "recalled"


O, P, S = OrderStatus, PaymentStatus, ShipmentStatus

ORDER_MOVES: Mapping[OrderStatus, frozenset[OrderStatus]] = {
    O.RECEIVED: frozenset({O.VALIDATED, O.REJECTED, O.CANCELLED}),
    O.VALIDATED: frozenset({O.IN_REVIEW, O.PAID, O.PAYMENT_FAILED, O.CANCELLED}),
    O.IN_REVIEW: frozenset({O.PAID, O.PAYMENT_FAILED, O.CANCELLED}),
    O.PAYMENT_FAILED: frozenset({O.PAID, O.EXPIRED, O.CANCELLED}),
    O.PAID: frozenset({O.FULFILLING, O.PAYMENT_FAILED, O.CANCELLED}),
    O.FULFILLING: frozenset({O.SHIPPED, O.PAYMENT_FAILED, O.CANCELLED, O.FAILED}),
    O.SHIPPED: frozenset({O.COMPLETED, O.FAILED}),
    O.COMPLETED: frozenset(),
    O.CANCELLED: frozenset(),
    O.REJECTED: frozenset(),
    O.EXPIRED: frozenset(),
    O.FAILED: frozenset(),
}
PAYMENT_MOVES: Mapping[PaymentStatus, frozenset[PaymentStatus]] = {
    P.UNPAID: frozenset({P.PENDING, P.CANCELLED}),
    P.PENDING: frozenset({P.CAPTURED, P.DECLINED, P.REFUNDING}),
    P.CAPTURED: frozenset({P.REFUNDING}),
    P.DECLINED: frozenset({P.PENDING, P.CANCELLED}),
    P.CANCELLED: frozenset({P.PENDING}),
    P.REFUNDING: frozenset({P.REFUNDED, P.CANCELLED}),
    P.REFUNDED: frozenset({P.PENDING}),
}
SHIPMENT_MOVES: Mapping[ShipmentStatus, frozenset[ShipmentStatus]] = {
    S.REQUESTED: frozenset({S.PICKED, S.RECALLED}),
    S.PICKED: frozenset({S.PACKED, S.RECALLED}),
    S.PACKED: frozenset({S.LABELLED, S.RECALLED}),
    S.LABELLED: frozenset({S.DISPATCHED, S.RECALLED}),
    S.DISPATCHED: frozenset({S.DELIVERED}),
    S.DELIVERED: frozenset(),
    S.RECALLED: frozenset(),
}
FINAL = frozenset(status for status, following in ORDER_MOVES.items() if not following)
BEFORE_DISPATCH = frozenset(ORDER_MOVES) - FINAL - {O.SHIPPED}
"""The statuses in which an order may still be cancelled, redirected or have its payment cancelled."""

Status = TypeVar("Status", OrderStatus, PaymentStatus, ShipmentStatus)


def move(moves: Mapping[Status, frozenset[Status]], now: Status, to: Status) -> Status:
    """Return ``to`` if the table allows it after ``now``.

    Raises:
        IllegalMove: the table does not have that move.
    """
    if to not in moves[now]:
        raise IllegalMove(now, to)
    return to


class EventType(StrEnum):
    """What can be said in an order's audit trail."""

    RECEIVED = "received"
    VALIDATED = "validated"
    REJECTED = "rejected"
    REVIEW_STARTED = "review_started"
    REVIEW_PASSED = "review_passed"
    PAYMENT_REQUESTED = "payment_requested"
    PAYMENT_CAPTURED = "payment_captured"
    PAYMENT_DECLINED = "payment_declined"
    PAYMENT_CANCELLED = "payment_cancelled"
    PAYMENT_METHOD_CHANGED = "payment_method_changed"
    REFUND_REQUESTED = "refund_requested"
    REFUNDED = "refunded"
    SHIPMENT_REQUESTED = "shipment_requested"
    PICKED = "picked"
    PACKED = "packed"
    LABELLED = "labelled"
    DISPATCHED = "dispatched"
    DELIVERED = "delivered"
    RECALLED = "recalled"
    ADDRESS_CHANGED = "address_changed"
    CANCEL_REQUESTED = "cancel_requested"
    PAYMENT_CANCEL_REQUESTED = "payment_cancel_requested"
    REFUSED = "refused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAILED = "failed"


E = EventType
ORDER_BY_EVENT: Mapping[EventType, OrderStatus] = {
    E.VALIDATED: O.VALIDATED,
    E.REJECTED: O.REJECTED,
    E.REVIEW_STARTED: O.IN_REVIEW,
    E.PAYMENT_CAPTURED: O.PAID,
    E.PAYMENT_DECLINED: O.PAYMENT_FAILED,
    E.PAYMENT_CANCELLED: O.PAYMENT_FAILED,
    E.SHIPMENT_REQUESTED: O.FULFILLING,
    E.DISPATCHED: O.SHIPPED,
    E.COMPLETED: O.COMPLETED,
    E.CANCELLED: O.CANCELLED,
    E.EXPIRED: O.EXPIRED,
    E.FAILED: O.FAILED,
}
PAYMENT_BY_EVENT: Mapping[EventType, PaymentStatus] = {
    E.PAYMENT_REQUESTED: P.PENDING,
    E.PAYMENT_CAPTURED: P.CAPTURED,
    E.PAYMENT_DECLINED: P.DECLINED,
    E.REFUND_REQUESTED: P.REFUNDING,
}
SHIPMENT_BY_EVENT: Mapping[EventType, ShipmentStatus] = {
    E.PICKED: S.PICKED,
    E.PACKED: S.PACKED,
    E.LABELLED: S.LABELLED,
    E.DISPATCHED: S.DISPATCHED,
    E.DELIVERED: S.DELIVERED,
    E.RECALLED: S.RECALLED,
}


@dataclass(frozen=True)
class Event:
    """One line of the audit trail; ``seq`` starts at 1 and has no gaps."""

    seq: int
    type: EventType
    at: datetime
    actor: str
    data: dict[str, Any]


@dataclass(frozen=True)
class PaymentOperation:
    """One request to the payment provider; ``key`` is what makes asking twice harmless."""

    key: str
    kind: str
    amount: int
    method: str
    status: str = "pending"
    reference: str | None = None
    error: str | None = None


@dataclass
class Payment:
    """The money of one order, in minor units of the order's currency."""

    status: PaymentStatus = PaymentStatus.UNPAID
    captured: int = 0
    refunded: int = 0
    operations: list[PaymentOperation] = field(default_factory=list)

    def next_key(self, order_id: str, kind: str) -> str:
        """The idempotency key of the next operation of this kind: the same at every replay."""
        number = sum(operation.kind == kind for operation in self.operations) + 1
        return f"{order_id}:{kind}:{number}"

    def take(self, kind: EventType, data: dict[str, Any], method: str) -> None:
        """Enter what an event says about money."""
        match kind:
            case E.PAYMENT_REQUESTED:
                self._ask("charge", data, method)
            case E.PAYMENT_CAPTURED:
                self.captured += data["amount"]
                self._settle(data["key"], status="succeeded", reference=data["reference"])
            case E.PAYMENT_DECLINED:
                self._settle(data["key"], status="declined", error=data["reason"])
            case E.REFUND_REQUESTED:
                self._ask("refund", data, method)
            case E.REFUNDED:
                if self.operation(data["charge"]).status == "pending":
                    # The charge's answer was lost: what comes back now had been taken.
                    self.captured += data["amount"]
                self.refunded += data["amount"]
                self._settle(data["key"], status="succeeded", reference=data["reference"])
                self._settle(data["charge"], status="refunded" if data["amount"] else "cancelled")

    def operation(self, key: str) -> PaymentOperation:
        """The operation asked under ``key``."""
        return next(operation for operation in self.operations if operation.key == key)

    def _ask(self, kind: str, data: dict[str, Any], method: str) -> None:
        self.operations = [*self.operations, PaymentOperation(data["key"], kind, data["amount"], method)]

    def _settle(self, key: str, **outcome: Any) -> None:
        self.operations = [replace(op, **outcome) if op.key == key else op for op in self.operations]


@dataclass
class Shipment:
    """One parcel; ``address`` is the one printed on its label, known once it is dispatched."""

    id: str
    status: ShipmentStatus = ShipmentStatus.REQUESTED
    carrier: str | None = None
    tracking_number: str | None = None
    address: Address | None = None


@dataclass
class Order:
    """An order as its events have made it; ``version`` is the ``seq`` of the last one."""

    id: str
    details: OrderDetails
    created_at: datetime
    updated_at: datetime
    status: OrderStatus = OrderStatus.RECEIVED
    version: int = 0
    payment: Payment = field(default_factory=Payment)
    shipments: list[Shipment] = field(default_factory=list)

    @property
    def shipment(self) -> Shipment:
        """The parcel at work, or the last one that was."""
        return self.shipments[-1]

    def record(self, kind: EventType, at: datetime, actor: str = SYSTEM, **data: Any) -> Event:
        """Make the next event and apply it.

        Raises:
            IllegalMove: a table of legal moves forbids it; the order is unchanged.
        """
        event = Event(self.version + 1, kind, at, actor, data)
        self.apply(event)
        return event

    def apply(self, event: Event) -> None:
        """Change the order as the event says: the one place that does.

        Raises:
            IllegalMove: a table of legal moves forbids it; the order is unchanged.
        """
        data, kind = event.data, event.type
        status, payment_status = self.status, self.payment.status
        if to_order := ORDER_BY_EVENT.get(kind):
            # Several declined or cancelled attempts in a row leave the order where it is.
            status = to_order if to_order == status == O.PAYMENT_FAILED else move(ORDER_MOVES, status, to_order)
        if to_payment := self._payment_after(kind, data):
            payment_status = move(PAYMENT_MOVES, payment_status, to_payment)
        if to_shipment := SHIPMENT_BY_EVENT.get(kind):
            self.shipment.status = move(SHIPMENT_MOVES, self.shipment.status, to_shipment)
        self.status, self.payment.status = status, payment_status
        self._take(kind, data)
        self.version, self.updated_at = event.seq, event.at

    def _payment_after(self, kind: EventType, data: dict[str, Any]) -> PaymentStatus | None:
        if kind is E.REFUNDED:
            # Nothing came back where nothing had been taken: the payment never was.
            return P.REFUNDED if data["amount"] else P.CANCELLED
        if kind is E.PAYMENT_CANCELLED and self.payment.status is P.UNPAID:
            return P.CANCELLED
        return PAYMENT_BY_EVENT.get(kind)

    def _take(self, kind: EventType, data: dict[str, Any]) -> None:
        match kind:
            case E.PAYMENT_METHOD_CHANGED:
                self.details = replace(self.details, payment_method=data["payment_method"])
            case E.ADDRESS_CHANGED:
                self.details = replace(self.details, shipping_address=Address(**data["address"]))
            case E.SHIPMENT_REQUESTED:
                self.shipments = [*self.shipments, Shipment(data["shipment"])]
            case E.LABELLED:
                self.shipment.carrier = data["carrier"]
                self.shipment.tracking_number = data["tracking_number"]
            case E.DISPATCHED:
                self.shipment.address = Address(**data["address"])
            case _:
                self.payment.take(kind, data, self.details.payment_method)


def receive(order_id: str, details: OrderDetails, at: datetime, actor: str) -> tuple[Order, Event]:
    """Begin an order: the order and its first event."""
    order = Order(order_id, details, created_at=at, updated_at=at)
    data = asdict(details)
    return order, order.record(E.RECEIVED, at, actor, **{**data, "lines": list(data["lines"])})


def fold(order_id: str, events: Iterable[Event]) -> Order:
    """Rebuild an order from its whole audit trail.

    Raises:
        ValueError: the trail is empty or does not begin with ``received``.
        IllegalMove: the trail has a move that no table allows.
    """
    first, *rest = events
    if first.type is not E.RECEIVED:
        raise ValueError(f"the trail of {order_id} begins with {first.type}")
    data = dict(first.data)
    data["shipping_address"] = Address(**data["shipping_address"])
    data["lines"] = tuple(OrderLine(**line) for line in data["lines"])
    order, _ = receive(order_id, OrderDetails(**data), first.at, first.actor)
    for event in rest:
        order.apply(event)
    return order
