"""An order as its events make it.

Everything that the system believes about an order follows from its events: :meth:`Order.record` makes one,
:meth:`Order.apply` is the only code that changes an order, and :func:`fold` rebuilds the order from its audit trail.
"""

# No postponed annotations here: in the workflow sandbox pydantic could not look up what their names stand for.

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from orders.details import Address, OrderDetails, OrderLine
from orders.model import (
    FINAL,
    ORDER_BY_EVENT,
    ORDER_MOVES,
    PAYMENT,
    PAYMENT_BY_EVENT,
    PAYMENT_MOVES,
    SHIPMENT,
    SHIPMENT_BY_EVENT,
    SHIPMENT_MOVES,
    Event,
    EventType,
    OrderStatus,
    Origin,
    PaymentStatus,
    Said,
    ShipmentStatus,
    move,
)
from orders.payment import Payment

E = EventType
MONEY = frozenset({E.PAYMENT_AUTHORIZED, E.PAYMENT_DECLINED})
ITSELF = Origin()


@dataclass
class Shipment:
    """One parcel; ``address`` is the one printed on its label, known once it is dispatched."""

    id: str
    status: ShipmentStatus = ShipmentStatus.REQUESTED
    carrier: str | None = None
    tracking_number: str | None = None
    address: Address | None = None


@dataclass(frozen=True)
class Holding:
    """What an order has of one article's stock: pieces ``held`` for it on the shelf, and pieces ``taken`` away."""

    held: int = 0
    taken: int = 0


@dataclass
class Order:
    """An order as its events have made it; ``version`` is the ``seq`` of the last one.

    ``stuck`` says on which axis and why the order doesn't get on, and ``waiting_until`` when its waiting ends.
    """

    id: str
    details: OrderDetails
    created_at: datetime
    updated_at: datetime
    status: OrderStatus = OrderStatus.RECEIVED
    version: int = 0
    payment: Payment = field(default_factory=Payment)
    shipments: list[Shipment] = field(default_factory=list)
    stock: dict[str, Holding] = field(default_factory=dict)
    stuck: dict[str, str] = field(default_factory=dict)
    waiting_until: datetime | None = None

    @property
    def why_stuck(self) -> str | None:
        """Why the order doesn't get on, in one line."""
        return "; ".join(self.stuck.values()) or None

    @property
    def shipment(self) -> Shipment:
        """The parcel at work, or the last one that was."""
        return self.shipments[-1]

    def record(self, kind: EventType, at: datetime, by: Said = ITSELF, /, **data: Any) -> Event:
        """Make the next event and apply it.

        Raises:
            IllegalMove: a table of legal moves forbids it; the order is unchanged.
            InvalidAmount: its amount can't be; the order is unchanged.
        """
        event = Event(self.version + 1, kind, at, by.actor, data, by.trace_id)
        self.apply(event)
        return event

    def apply(self, event: Event) -> None:
        """Change the order as the event says: the one place that does.

        Raises:
            IllegalMove: a table of legal moves forbids it; the order is unchanged.
            InvalidAmount: its amount can't be; the order is unchanged.
        """
        data, kind = event.data, event.type
        status, payment_status = self.status, self.payment.status
        to_order, to_payment = self._status_after(kind), self._payment_after(kind, data)
        to_shipment = SHIPMENT_BY_EVENT.get(kind)
        if to_order:
            status = move(ORDER_MOVES, status, to_order)
        if to_payment:
            payment_status = move(PAYMENT_MOVES, payment_status, to_payment)
        if to_shipment:
            move(SHIPMENT_MOVES, self.shipment.status, to_shipment)
        self._take(kind, data)
        self.status, self.payment.status = status, payment_status
        if to_shipment:
            self.shipment.status = to_shipment
        self._get_on({axis for axis, moved in ((PAYMENT, to_payment), (SHIPMENT, to_shipment)) if moved})
        if to_order or to_payment or to_shipment:
            self.waiting_until = None
        if "until" in data:
            self.waiting_until = datetime.fromisoformat(data["until"])
        # What a parcel reports of its way may have happened before what is on record already.
        self.version, self.updated_at = event.seq, max(self.updated_at, event.at)

    def _get_on(self, moved: set[str]) -> None:
        # Nothing is stuck any more on an axis that has moved, nor in an order that is at its end.
        is_over = self.status in FINAL
        self.stuck = {axis: reason for axis, reason in self.stuck.items() if not is_over and axis not in moved}

    def _status_after(self, kind: EventType) -> OrderStatus | None:
        if kind in MONEY and self.status is OrderStatus.SHIPPED:
            # A parcel that is on its way stays so, whatever becomes of its money.
            return None
        return ORDER_BY_EVENT.get(kind)

    def _payment_after(self, kind: EventType, data: dict[str, Any]) -> PaymentStatus | None:
        if kind is E.VOIDED:
            return PaymentStatus.CAPTURED if data["amount"] else PaymentStatus.CANCELLED
        if kind is E.PAYMENT_CANCELLED and self.payment.status is PaymentStatus.UNPAID:
            return PaymentStatus.CANCELLED
        return PAYMENT_BY_EVENT.get(kind)

    def _take(self, kind: EventType, data: dict[str, Any]) -> None:
        self.payment.take(kind, data, self.details.payment_method)
        self._take_details(kind, data)
        self._take_stock(kind)
        match kind:
            case E.STUCK:
                self.stuck = {**self.stuck, data["axis"]: data["reason"]}
            case E.DISPATCH_FAILED:
                tries = f"try {data['attempt']} of {data['of']}"
                self.stuck = {**self.stuck, SHIPMENT: f"the carrier refused the parcel, {tries}: {data['reason']}"}
            case E.SHIPMENT_REQUESTED:
                self.shipments = [*self.shipments, Shipment(data["shipment"])]
            case E.LABELLED:
                self.shipment.carrier = data["carrier"]
                self.shipment.tracking_number = data["tracking_number"]
            case E.DISPATCHED:
                self.shipment.address = Address(**data["address"])

    def _take_details(self, kind: EventType, data: dict[str, Any]) -> None:
        match kind:
            case E.PAYMENT_METHOD_CHANGED:
                self.details = replace(self.details, payment_method=data["payment_method"])
            case E.ADDRESS_CHANGED:
                self.details = replace(self.details, shipping_address=Address(**data["address"]))
            case E.AMENDED:
                self.details = replace(self.details, lines=_lines(data["lines"]))

    def _take_stock(self, kind: EventType) -> None:
        match kind:
            case E.STOCK_RESERVED:
                self.stock = {sku: Holding(held=qty) for sku, qty in self.details.quantities.items()}
            case E.DISPATCHED:
                self.stock = {sku: Holding(taken=holding.held) for sku, holding in self.stock.items()}
            case E.STOCK_RELEASED | E.RETURNED:
                # Back on the shelf, all of it.
                self.stock = {}


def receive(order_id: str, details: OrderDetails, at: datetime, by: Said) -> tuple[Order, Event]:
    """Begin an order: the order and its first event."""
    order = Order(order_id, details, created_at=at, updated_at=at)
    data = asdict(details)
    return order, order.record(E.RECEIVED, at, by, **{**data, "lines": list(data["lines"])})


def fold(order_id: str, events: Iterable[Event]) -> Order:
    """Rebuild an order from its whole audit trail.

    Raises:
        ValueError: the trail is empty or does not begin with ``received``.
        IllegalMove: the trail has a move that no table allows.
    """
    first, *rest = events
    order, _ = receive(order_id, details_as_placed(first), first.at, Origin(first.actor, first.trace_id))
    for event in rest:
        order.apply(event)
    return order


def details_as_placed(first: Event) -> OrderDetails:
    """Read from an order's first event what was ordered.

    Raises:
        ValueError: it is not an order's first event.
    """
    if first.type is not E.RECEIVED:
        raise ValueError(f"an order's trail begins with {E.RECEIVED}, this one with {first.type}")
    address, lines = Address(**first.data["shipping_address"]), _lines(first.data["lines"])
    return OrderDetails(**{**first.data, "shipping_address": address, "lines": lines})


def _lines(lines: list[dict[str, Any]]) -> tuple[OrderLine, ...]:
    return tuple(OrderLine(**line) for line in lines)
