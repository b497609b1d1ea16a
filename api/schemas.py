"""What the API answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from orders.model import Event, OrderStatus, PaymentStatus, ShipmentStatus
from orders.money import Money
from orders.order import Order
from orders.progress import LiveProgress
from orders.temporal import QueueStats


class AddressView(BaseModel):
    """A postal address."""

    street: str
    city: str
    state: str | None
    postal_code: str | None
    country: str


class ItemView(BaseModel):
    """So many pieces of one article; ``price`` is that of one piece."""

    sku: str
    qty: int
    price: str = Field(examples=["99.99"])


class PaymentView(BaseModel):
    """The money of an order; what the shop holds is ``captured`` less ``refunded``."""

    status: PaymentStatus
    amount: str = Field(examples=["99.99"])
    authorized: str = Field(examples=["99.99"], description="held ready by the provider, or taken")
    captured: str = Field(examples=["99.99"])
    refunded: str = Field(examples=["0.00"])


class ShipmentView(BaseModel):
    """A parcel."""

    id: str
    status: ShipmentStatus
    carrier: str | None
    tracking_number: str | None


class OrderView(BaseModel):
    """An order as it stands."""

    id: str
    status: OrderStatus
    version: int = Field(description="grows with each event")
    customer_name: str
    customer_email: str
    items: list[ItemView]
    currency: str
    total: str = Field(examples=["99.99"])
    shipping_address: AddressView
    payment_method: str
    payment: PaymentView
    shipments: list[ShipmentView]
    stuck: str | None = Field(description="why it does not get on, if it does not")
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, order: Order) -> OrderView:
        """Show an order; every amount is a decimal string with the places of its currency."""
        details, payment = order.details, order.payment

        def money(amount: int) -> str:
            return str(Money(amount, details.currency))

        address = details.shipping_address
        return cls(
            id=order.id,
            status=order.status,
            version=order.version,
            customer_name=details.customer_name,
            customer_email=details.customer_email,
            items=[ItemView(sku=line.sku, qty=line.qty, price=money(line.price)) for line in details.lines],
            currency=details.currency,
            total=str(details.total),
            shipping_address=AddressView(
                street=address.street,
                city=address.city,
                state=address.state,
                postal_code=address.postal_code,
                country=address.country,
            ),
            payment_method=details.payment_method,
            payment=PaymentView(
                status=payment.status,
                amount=str(details.total),
                authorized=money(payment.authorized),
                captured=money(payment.captured),
                refunded=money(payment.refunded),
            ),
            shipments=[
                ShipmentView(id=each.id, status=each.status, carrier=each.carrier, tracking_number=each.tracking_number)
                for each in order.shipments
            ],
            stuck=order.why_stuck,
            metadata=details.metadata,
            created_at=order.created_at,
            updated_at=order.updated_at,
        )


class OrderList(BaseModel):
    """A page of a list of orders, newest first."""

    data: list[OrderView]
    next: str | None = Field(description="the `cursor` of the next page; null on the last", examples=["WyIyMDI2LTAx…"])


class EventView(BaseModel):
    """One line of the audit trail."""

    seq: int = Field(description="from 1, without gaps")
    type: str
    at: datetime
    actor: str
    data: dict[str, Any]
    trace_id: str | None = Field(description="of the request, or else of the order (W3C Trace Context)")

    @classmethod
    def of(cls, event: Event) -> EventView:
        """Show an event, with its amounts as decimal strings."""
        data = dict(event.data)
        if currency := data.get("currency"):
            if "amount" in data:
                data["amount"] = str(Money(data["amount"], currency))
            if lines := data.pop("lines", None):
                data["items"] = [{**line, "price": str(Money(line["price"], currency))} for line in lines]
        return cls(seq=event.seq, type=event.type, at=event.at, actor=event.actor, data=data, trace_id=event.trace_id)


class EventList(BaseModel):
    """A stretch of the audit trail, oldest first."""

    data: list[EventView]
    next: str | None = Field(
        default=None, examples=["7"], description="the `after` to go on with; null when the order is at its end"
    )


class AttemptView(BaseModel):
    """A step that is being tried."""

    step: str = Field(examples=["authorize"])
    attempt: int = Field(description="the number of this attempt, from 1")
    is_running: bool
    last_error: str | None = Field(description="why the attempt before failed")
    next_at: datetime | None = Field(description="when it is tried next, if it is not running")


class ProgressView(BaseModel):
    """What an order is doing in this moment."""

    id: str
    status: OrderStatus
    step: str = Field(examples=["authorize the payment"])
    waits_for: str | None = Field(examples=["the payment provider"])
    until: datetime | None = Field(description="when the waiting ends at the latest")
    stuck: str | None
    attempts: list[AttemptView] = Field(description="the steps that are being tried, as Temporal knows them")
    source: str = Field(description="`workflow`, or `ledger` where no worker could be asked")

    @classmethod
    def of(cls, order_id: str, live: LiveProgress) -> ProgressView:
        """Show how an order gets on."""
        now = live.progress
        return cls(
            id=order_id,
            status=now.status,
            step=now.step,
            waits_for=now.waits_for,
            until=now.until,
            stuck=now.stuck,
            attempts=[
                AttemptView(
                    step=each.step,
                    attempt=each.attempt,
                    is_running=each.is_running,
                    last_error=each.last_error,
                    next_at=each.next_at,
                )
                for each in live.attempts
            ],
            source="workflow" if live.by_workflow else "ledger",
        )


class QueueView(BaseModel):
    """What waits on a task queue for workers, and who works on it; backlog and rates are Temporal's estimates."""

    queue: str = Field(examples=["payments"])
    kind: str = Field(examples=["activity"], description="`workflow` or `activity`")
    backlog: int = Field(description="tasks that wait")
    oldest_seconds: float = Field(description="how long the oldest of them has waited; 0 without a backlog")
    added_per_second: float
    dispatched_per_second: float
    pollers: int = Field(description="processes that have asked for tasks within the last five minutes")
    polled_at: datetime | None = Field(description="when one asked for the last time")

    @classmethod
    def of(cls, stats: QueueStats) -> QueueView:
        """Show what is known of a queue."""
        return cls(
            queue=stats.queue,
            kind=stats.kind,
            backlog=stats.backlog,
            oldest_seconds=round(stats.oldest.total_seconds(), 3),
            added_per_second=round(stats.added, 3),
            dispatched_per_second=round(stats.dispatched, 3),
            pollers=stats.pollers,
            polled_at=stats.polled_at,
        )


class Stats(BaseModel):
    """Every task queue, with each kind of task that it has."""

    queues: list[QueueView]


class Heard(BaseModel):
    """What became of a partner's news: ``reason`` says why they change nothing, if they don't."""

    accepted: bool
    reason: str | None = None


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    pointer: str | None = Field(
        default=None, description="JSON pointer (RFC 6901) into the body", examples=["#/items/0/qty"]
    )
    parameter: str | None = Field(default=None, description="the parameter in the URL", examples=["limit"])
    header: str | None = Field(default=None, description="the header", examples=["Idempotency-Key"])
    detail: str = Field(examples=["Input should be greater than or equal to 1"])


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(examples=["urn:order-lifecycle:problem:validation"])
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | None = None
    trace_id: str | None = Field(
        default=None,
        description="names the request in logs and traces",
        examples=["4bf92f3577b34da6a3ce929d0e0e4736"],
    )


class Health(BaseModel):
    """Whether the service can work."""

    status: str = Field(examples=["ok"])
