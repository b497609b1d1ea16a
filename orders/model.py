"""The statuses of an order, what may follow what, and what its events say.

The three tables of legal moves below are the only place that says what may follow what; the workflows, the API, the
tests and the pictures in ``docs/lifecycle.md`` all ask them.
"""

# No postponed annotations here: in the workflow sandbox pydantic could not look up what their names stand for.

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, TypeVar

from orders.errors import IllegalMove

PAYMENT, SHIPMENT = "payment", "shipment"
"""The axes on which an order can be stuck."""
SYSTEM = "system"
"""The actor of what the lifecycle does by itself."""
TEMPORAL = "temporal"
"""The actor of what comes by way of Temporal's own tools."""
CARRIER, PAYMENT_PROVIDER, STRIPE = "carrier", "payment provider", "stripe"
"""The actors of what partners tell by themselves."""
ANONYMOUS = "anonymous"
"""The actor of what is asked where nobody has to say who asks."""
RESERVED_ACTORS = frozenset({SYSTEM, TEMPORAL, CARRIER, PAYMENT_PROVIDER, STRIPE, ANONYMOUS})
"""The names that no caller may go by: the audit trail would say that somebody else did it."""


class OrderStatus(StrEnum):
    """Where the order as a whole stands."""

    RECEIVED = "received"
    VALIDATED = "validated"
    IN_REVIEW = "in_review"
    AWAITING_CUSTOMER = "awaiting_customer"
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
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    DECLINED = "declined"
    VOIDING = "voiding"
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
    IN_TRANSIT = "in_transit"
    DELIVERED = "delivered"
    LOST = "lost"
    RETURNED = "returned"
    RECALLED = "recalled"


O, P, S = OrderStatus, PaymentStatus, ShipmentStatus

ORDER_MOVES: Mapping[OrderStatus, frozenset[OrderStatus]] = {
    O.RECEIVED: frozenset({O.VALIDATED, O.REJECTED, O.CANCELLED}),
    O.VALIDATED: frozenset({O.IN_REVIEW, O.AWAITING_CUSTOMER, O.PAID, O.PAYMENT_FAILED, O.REJECTED, O.CANCELLED}),
    O.IN_REVIEW: frozenset({O.AWAITING_CUSTOMER, O.PAID, O.PAYMENT_FAILED, O.REJECTED, O.EXPIRED, O.CANCELLED}),
    O.AWAITING_CUSTOMER: frozenset({O.PAID, O.PAYMENT_FAILED, O.REJECTED, O.EXPIRED, O.CANCELLED}),
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
    P.PENDING: frozenset({P.AUTHORIZED, P.DECLINED, P.VOIDING}),
    P.AUTHORIZED: frozenset({P.CAPTURED, P.DECLINED, P.VOIDING}),
    P.CAPTURED: frozenset({P.REFUNDING}),
    P.DECLINED: frozenset({P.PENDING, P.VOIDING, P.CANCELLED}),
    P.VOIDING: frozenset({P.CANCELLED, P.CAPTURED}),
    P.CANCELLED: frozenset({P.PENDING}),
    P.REFUNDING: frozenset({P.REFUNDED}),
    P.REFUNDED: frozenset({P.PENDING}),
}
SHIPMENT_MOVES: Mapping[ShipmentStatus, frozenset[ShipmentStatus]] = {
    S.REQUESTED: frozenset({S.PICKED, S.RECALLED}),
    S.PICKED: frozenset({S.PACKED, S.RECALLED}),
    S.PACKED: frozenset({S.LABELLED, S.RECALLED}),
    S.LABELLED: frozenset({S.DISPATCHED, S.RECALLED}),
    S.DISPATCHED: frozenset({S.IN_TRANSIT, S.DELIVERED, S.LOST, S.RETURNED}),
    S.IN_TRANSIT: frozenset({S.DELIVERED, S.LOST, S.RETURNED}),
    S.DELIVERED: frozenset(),
    S.LOST: frozenset(),
    S.RETURNED: frozenset(),
    S.RECALLED: frozenset(),
}
FINAL = frozenset(status for status, following in ORDER_MOVES.items() if not following)
BEFORE_DISPATCH = frozenset(ORDER_MOVES) - FINAL - {O.SHIPPED}
"""The statuses in which an order may still be cancelled, redirected or have its payment cancelled."""
ARRIVED = frozenset({S.DELIVERED, S.LOST, S.RETURNED})
"""Where a journey ends."""
REPEATABLE = frozenset({O.PAYMENT_FAILED, O.AWAITING_CUSTOMER})
"""The statuses that may follow on themselves: another card declined, another amendment that is not enough."""

Status = TypeVar("Status", OrderStatus, PaymentStatus, ShipmentStatus)


def move(moves: Mapping[Status, frozenset[Status]], now: Status, to: Status) -> Status:
    """Return ``to`` if the table allows it after ``now``.

    Raises:
        IllegalMove: the table does not have that move.
    """
    if to not in moves[now] and not (now == to and to in REPEATABLE):
        raise IllegalMove(now, to)
    return to


class EventType(StrEnum):
    """What can be said in an order's audit trail."""

    RECEIVED = "received"
    VALIDATED = "validated"
    REJECTED = "rejected"
    REVIEW_STARTED = "review_started"
    REVIEW_PASSED = "review_passed"
    STOCK_SHORT = "stock_short"
    AMENDED = "amended"
    STOCK_RESERVED = "stock_reserved"
    STOCK_RELEASED = "stock_released"
    PAYMENT_REQUESTED = "payment_requested"
    PAYMENT_AUTHORIZED = "payment_authorized"
    CAPTURE_REQUESTED = "capture_requested"
    PAYMENT_CAPTURED = "payment_captured"
    PAYMENT_DECLINED = "payment_declined"
    PAYMENT_CANCELLED = "payment_cancelled"
    PAYMENT_METHOD_CHANGED = "payment_method_changed"
    PAYMENT_NOTICED = "payment_noticed"
    VOID_REQUESTED = "void_requested"
    VOIDED = "voided"
    REFUND_REQUESTED = "refund_requested"
    REFUNDED = "refunded"
    SHIPMENT_REQUESTED = "shipment_requested"
    PICKED = "picked"
    PACKED = "packed"
    LABELLED = "labelled"
    DISPATCH_FAILED = "dispatch_failed"
    DISPATCHED = "dispatched"
    IN_TRANSIT = "in_transit"
    DELIVERED = "delivered"
    LOST = "lost"
    RETURNED = "returned"
    RECALLED = "recalled"
    ADDRESS_CHANGED = "address_changed"
    CANCEL_REQUESTED = "cancel_requested"
    PAYMENT_CANCEL_REQUESTED = "payment_cancel_requested"
    REFUSED = "refused"
    STUCK = "stuck"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAILED = "failed"


E = EventType
ORDER_BY_EVENT: Mapping[EventType, OrderStatus] = {
    E.VALIDATED: O.VALIDATED,
    E.REJECTED: O.REJECTED,
    E.REVIEW_STARTED: O.IN_REVIEW,
    E.STOCK_SHORT: O.AWAITING_CUSTOMER,
    E.PAYMENT_AUTHORIZED: O.PAID,
    E.PAYMENT_DECLINED: O.PAYMENT_FAILED,
    E.PAYMENT_CANCELLED: O.PAYMENT_FAILED,
    E.SHIPMENT_REQUESTED: O.FULFILLING,
    E.DISPATCHED: O.SHIPPED,
    E.COMPLETED: O.COMPLETED,
    E.CANCELLED: O.CANCELLED,
    E.EXPIRED: O.EXPIRED,
    E.FAILED: O.FAILED,
}
CLOSING = frozenset(event for event, status in ORDER_BY_EVENT.items() if status in FINAL)
"""The events that end an order; what follows on them changes nothing any more."""
PAYMENT_BY_EVENT: Mapping[EventType, PaymentStatus] = {
    E.PAYMENT_REQUESTED: P.PENDING,
    E.PAYMENT_AUTHORIZED: P.AUTHORIZED,
    E.PAYMENT_CAPTURED: P.CAPTURED,
    E.PAYMENT_DECLINED: P.DECLINED,
    E.VOID_REQUESTED: P.VOIDING,
    E.REFUND_REQUESTED: P.REFUNDING,
    E.REFUNDED: P.REFUNDED,
}
SHIPMENT_BY_EVENT: Mapping[EventType, ShipmentStatus] = {
    E.PICKED: S.PICKED,
    E.PACKED: S.PACKED,
    E.LABELLED: S.LABELLED,
    E.DISPATCHED: S.DISPATCHED,
    E.IN_TRANSIT: S.IN_TRANSIT,
    E.DELIVERED: S.DELIVERED,
    E.LOST: S.LOST,
    E.RETURNED: S.RETURNED,
    E.RECALLED: S.RECALLED,
}


class Said(Protocol):
    """Anything that somebody said: who, and in the course of which trace (W3C Trace Context, 32 hex digits)."""

    @property
    def actor(self) -> str:
        """Who."""

    @property
    def trace_id(self) -> str | None:
        """In which trace, if that is known."""


class Origin(NamedTuple):
    """Where an event comes from."""

    actor: str = SYSTEM
    trace_id: str | None = None


@dataclass(frozen=True)
class Event:
    """One line of the audit trail; ``seq`` starts at 1 and has no gaps."""

    seq: int
    type: EventType
    at: datetime
    actor: str
    data: dict[str, Any]
    trace_id: str | None = None
