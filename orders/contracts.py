"""What crosses Temporal: queue names, workflow ids, and what workflows and activities are told and answer."""

# No postponed annotations here: in the workflow sandbox pydantic could not look up what their names stand for.

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from orders.details import Address, OrderDetails, OrderLine
from orders.model import Event, Order, ShipmentStatus
from orders.money import Money

ORDERS_QUEUE = "orders"
PAYMENTS_QUEUE = "payments"
SHIPPING_QUEUE = "shipping"

REFUSED = "Refused"
"""The type of the application error with which an update is refused; its message says why."""

ORDER_MEMO = "order"
"""The memo that holds the order as it was placed, for reads that come before the first row is written."""


def order_workflow_id(order_id: str) -> str:
    """The id of the workflow that owns an order."""
    return f"order:{order_id}"


def shipment_workflow_id(shipment_id: str) -> str:
    """The id of the workflow that owns a shipment; ``shipment_id`` is ``{order_id}:{n}``."""
    return f"shipment:{shipment_id}"


@dataclass(frozen=True)
class Policy:
    """The shop's rules at the moment that the order was placed: an order lives by the rules it was placed under."""

    review_timeout: timedelta = timedelta(seconds=3)
    payment_timeout: timedelta = timedelta(days=7)
    max_total: int = 10_000_000


@dataclass(frozen=True)
class PlaceOrder:
    """Starts an ``OrderWorkflow``."""

    order_id: str
    details: OrderDetails
    placed_at: datetime
    actor: str
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True)
class CancelOrder:
    """Asks for the end of the order, with everything undone."""

    reason: str | None
    actor: str


@dataclass(frozen=True)
class ChangeAddress:
    """Asks that the parcel go elsewhere."""

    address: Address
    actor: str


@dataclass(frozen=True)
class CancelPayment:
    """Asks that the money not be taken, or come back; the order then waits for another payment method."""

    reason: str | None
    actor: str


@dataclass(frozen=True)
class RetryPayment:
    """Offers another payment method to an order whose payment failed."""

    payment_method: str
    actor: str


@dataclass(frozen=True)
class RecordEvents:
    """Writes events to the ledger, with the order as it stands after the last of them.

    ``run_id`` and ``history_length`` say which state of the workflow's history decided so: a write that was
    decided on an older one, by a worker that died before its decision counted, gives way to a newer one.
    """

    order: Order
    events: list[Event]
    run_id: str
    history_length: int


@dataclass(frozen=True)
class Charge:
    """Asks the provider for money; the same ``key`` asks for the same money."""

    key: str
    amount: Money
    method: str


@dataclass(frozen=True)
class ChargeAnswer:
    """What the provider said: a ``reference`` for money taken, or the reason why it was ``declined``."""

    reference: str | None = None
    declined: str | None = None


@dataclass(frozen=True)
class Refund:
    """Asks the provider to give back whatever was taken under ``charge``, and to take nothing under it later."""

    key: str
    charge: Charge


@dataclass(frozen=True)
class RefundAnswer:
    """What came back: nothing where nothing had been taken."""

    returned: Money
    reference: str | None = None


@dataclass(frozen=True)
class ShipOrder:
    """Starts a ``ShippingWorkflow``, and is what it asks of its partners."""

    shipment_id: str
    lines: tuple[OrderLine, ...]
    address: Address


@dataclass(frozen=True)
class ShipmentStep:
    """Something that happened to a parcel."""

    status: ShipmentStatus
    at: datetime
    carrier: str | None = None
    tracking_number: str | None = None
    address: Address | None = None


@dataclass(frozen=True)
class ShipmentReport:
    """All that has happened to a parcel so far, in order."""

    steps: list[ShipmentStep]


@dataclass(frozen=True)
class Track:
    """Asks a carrier where a parcel is."""

    carrier: str
    tracking_number: str


@dataclass(frozen=True)
class Tracking:
    """Where a parcel is and since when; ``look_again_after`` None lets the lifecycle choose when to ask again."""

    status: ShipmentStatus
    at: datetime
    dispatched_at: datetime
    look_again_after: timedelta | None = None


@dataclass(frozen=True)
class Dispatched:
    """What a hand-over gives: the steps that it took, where to ask for the parcel, and where it is."""

    steps: list[ShipmentStep]
    track: Track
    tracking: Tracking


@dataclass(frozen=True)
class Request:
    """Something that an order asks of a shipment at work; the answer carries ``number`` back."""

    number: int


@dataclass(frozen=True)
class ChangeLabel(Request):
    """Asks a shipment to go elsewhere."""

    address: Address


@dataclass(frozen=True)
class ShipmentAnswer:
    """A shipment's answer: it refuses what comes once it is being handed to the carrier."""

    number: int
    accepted: bool
