"""What an order is doing now and what it waits for, told from its state alone."""

# No postponed annotations here: in the workflow sandbox pydantic could not look up what their names stand for.

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from orders.model import FINAL, OrderStatus, PaymentStatus, ShipmentStatus
from orders.order import Order

O, P, S = OrderStatus, PaymentStatus, ShipmentStatus

PROVIDER = "the payment provider"


@dataclass(frozen=True)
class Progress:
    """The ``step`` at work, what it ``waits_for``, ``until`` when at most, and why it is ``stuck``, if it is."""

    status: OrderStatus
    step: str
    waits_for: str | None = None
    until: datetime | None = None
    stuck: str | None = None


@dataclass(frozen=True)
class Attempt:
    """A step that is being tried: the number of this ``attempt``, why the last one failed, when the next begins."""

    step: str
    attempt: int
    is_running: bool
    last_error: str | None
    next_at: datetime | None


@dataclass(frozen=True)
class LiveProgress:
    """What an order is doing; ``by_workflow`` is False where no worker could be asked, and the ledger was."""

    progress: Progress
    attempts: list[Attempt]
    by_workflow: bool


_BY_PAYMENT: Mapping[PaymentStatus, tuple[str, str]] = {
    P.PENDING: ("authorize the payment", PROVIDER),
    P.VOIDING: ("let the money go", PROVIDER),
    P.REFUNDING: ("give the money back", PROVIDER),
}
_UNPAID_GOODS: Mapping[PaymentStatus, str] = {
    P.AUTHORIZED: PROVIDER,
    P.DECLINED: "another payment method",
    P.CANCELLED: "another payment method",
}
_BY_SHIPMENT: Mapping[ShipmentStatus, tuple[str, str]] = {
    S.REQUESTED: ("prepare and hand over the parcel", "the warehouse and the carrier"),
    S.PICKED: ("hand over the parcel", "the carrier"),
    S.PACKED: ("hand over the parcel", "the carrier"),
    S.LABELLED: ("hand over the parcel", "the carrier"),
    S.DISPATCHED: ("deliver", "the carrier"),
    S.IN_TRANSIT: ("deliver", "the carrier"),
    S.DELIVERED: ("end the order", "the ledger"),
    S.LOST: ("end the order", "the ledger"),
    S.RETURNED: ("end the order", "the ledger"),
}
_BY_ORDER: Mapping[OrderStatus, tuple[str, str]] = {
    O.RECEIVED: ("validate", "a worker of the queue orders"),
    O.VALIDATED: ("reserve the stock", "the ledger"),
    O.IN_REVIEW: ("review", "a decision: approve or reject"),
    O.AWAITING_CUSTOMER: ("reserve the stock", "the customer: amend or cancel"),
    O.PAYMENT_FAILED: ("pay", "another payment method"),
    O.PAID: ("ship", "a worker of the queue orders"),
}


def progress(order: Order) -> Progress:
    """Say where an order is in its life."""
    if order.status in FINAL:
        return Progress(order.status, "ended")
    step, waits_for = _doing(order)
    return Progress(order.status, step, waits_for, order.waiting_until, order.why_stuck)


def _doing(order: Order) -> tuple[str, str]:
    payment = order.payment.status
    if payment in _BY_PAYMENT:
        return _BY_PAYMENT[payment]
    if order.status is O.SHIPPED and payment in _UNPAID_GOODS:
        return ("collect the money", _UNPAID_GOODS[payment])
    if order.status in _BY_ORDER:
        return _BY_ORDER[order.status]
    return _BY_SHIPMENT.get(order.shipment.status, ("ship", "a worker of the queue orders"))
