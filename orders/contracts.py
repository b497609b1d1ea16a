"""What crosses Temporal: queue names, workflow ids, and what workflows and activities are told and answer."""

# No postponed annotations here: in the workflow sandbox pydantic could not look up what their names stand for.

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from orders.details import Address, OrderDetails, OrderLine
from orders.model import CARRIER, PAYMENT_PROVIDER, Event, ShipmentStatus
from orders.money import Money
from orders.order import Order
from orders.policy import Patience, Policy

ORDERS_QUEUE = "orders"
PAYMENTS_QUEUE = "payments"
SHIPPING_QUEUE = "shipping"
TASKS = {
    ORDERS_QUEUE: ("workflow",),
    PAYMENTS_QUEUE: ("activity",),
    SHIPPING_QUEUE: ("workflow", "activity"),
}
"""The kinds of tasks that each queue has; local activities are part of a workflow's."""

REFUSED = "Refused"
"""The type of the application error with which an update is refused; its message says why."""
STALE = "Stale"
"""The type of the one that says that the order is in none of the versions that were asked for, but in another one."""
KEY_REUSED = "KeyReused"
"""The type of the one that says that a message's key belongs to another message."""
ORDER_MEMO = "order"
"""The memo that holds the order as it was placed, for reads that come before the first row is written."""


def order_workflow_id(order_id: str) -> str:
    """The id of the workflow that owns an order."""
    return f"order:{order_id}"


def shipment_workflow_id(shipment_id: str) -> str:
    """The id of the workflow that owns a shipment; ``shipment_id`` is ``{order_id}:{n}``."""
    return f"shipment:{shipment_id}"


def refusal_workflow_id(order_id: str, message_id: str) -> str:
    """The id of the workflow that puts on record that a message came after the end of an order."""
    return f"refusal:{order_id}:{message_id}"


def order_of_workflow(workflow_id: str) -> str | None:
    """The id of the order that a workflow is about, by the workflow's own id; None for one that is not ours."""
    kind, _, rest = workflow_id.partition(":")
    return rest.partition(":")[0] if kind in ("order", "shipment", "refusal") else None


@dataclass(frozen=True)
class PlaceOrder:
    """Starts an ``OrderWorkflow``; ``traceparent`` names the request's span (W3C), to which later ones are linked."""

    order_id: str
    details: OrderDetails
    placed_at: datetime
    actor: str
    policy: Policy = field(default_factory=Policy)
    trace_id: str | None = None
    traceparent: str | None = None


# What people ask of an order


@dataclass(frozen=True)
class Terms:
    """On which terms something is asked.

    ``key`` is the same however often it is asked, and of its own for everything else; ``versions`` are those in one
    of which the order has to be, None means any.
    """

    key: str | None = None
    versions: tuple[int, ...] | None = None


@dataclass(frozen=True)
class CancelOrder:
    """Asks for the end of the order, with everything undone."""

    reason: str | None
    actor: str
    trace_id: str | None = None
    terms: Terms = Terms()


@dataclass(frozen=True)
class ReviewOrder:
    """A person's decision on an order in review; a rejected one ends."""

    approved: bool
    note: str | None
    actor: str
    trace_id: str | None = None
    terms: Terms = Terms()


@dataclass(frozen=True)
class AmendOrder:
    """Answers a shortage: fewer pieces of some articles (0 drops one), or, with None, what there was at the time."""

    quantities: dict[str, int] | None
    actor: str
    trace_id: str | None = None
    terms: Terms = Terms()


@dataclass(frozen=True)
class ChangeAddress:
    """Asks that the parcel go elsewhere."""

    address: Address
    actor: str
    trace_id: str | None = None
    terms: Terms = Terms()


@dataclass(frozen=True)
class CancelPayment:
    """Asks that the money not be taken, or come back; the order then waits for another payment method."""

    reason: str | None
    actor: str
    trace_id: str | None = None
    terms: Terms = Terms()


@dataclass(frozen=True)
class RetryPayment:
    """Offers another payment method to an order whose payment failed."""

    payment_method: str
    actor: str
    trace_id: str | None = None
    terms: Terms = Terms()


Message = CancelOrder | ReviewOrder | AmendOrder | ChangeAddress | CancelPayment | RetryPayment


# What partners tell by themselves


@dataclass(frozen=True)
class PaymentNotice:
    """The payment provider's own news about money of an order; ``id`` is the same however often it is told."""

    id: str
    kind: str
    reference: str
    problem: str | None = None
    actor: str = PAYMENT_PROVIDER
    trace_id: str | None = None


@dataclass(frozen=True)
class CarrierEvent:
    """A carrier's own news about a parcel; they come in any order, twice, or never."""

    id: str
    status: ShipmentStatus
    at: datetime
    note: str | None = None
    actor: str = CARRIER
    trace_id: str | None = None


# The ledger


@dataclass(frozen=True)
class RecordEvents:
    """Writes events to the ledger, with the order as it stands after the last of them.

    ``run_id`` and ``history_length`` say which state of the workflow's history decided so: a write that was
    decided on an older one, by a worker that died before its decision counted, gives way to a newer one.

    ``hold`` asks that these pieces be held for the order, all or none; where they can't be, nothing is written.
    ``traceparent`` is that of ``PlaceOrder``.
    """

    order: Order
    events: list[Event]
    run_id: str
    history_length: int
    hold: dict[str, int] | None = None
    traceparent: str | None = None


@dataclass(frozen=True)
class Recorded:
    """What became of a write: done, unless there are less pieces of some article than were to be held.

    ``free`` says how many there are of each such article, None of one that the shop doesn't know.
    """

    free: dict[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class RecordRefusal:
    """Puts on record that a message came after the end of an order; the same ``message_id`` is recorded once."""

    order_id: str
    message_id: str
    request: str
    reason: str
    at: datetime
    actor: str
    trace_id: str | None = None


# Payments. The same key asks for the same thing.


@dataclass(frozen=True)
class Authorize:
    """Asks the provider to hold money ready, and to take it at once if ``capture`` says so."""

    key: str
    order_id: str
    amount: Money
    method: str
    capture: bool


@dataclass(frozen=True)
class Authorization:
    """What the provider said: a ``reference`` for the money, or the reason why it was ``declined``."""

    reference: str | None = None
    declined: str | None = None


@dataclass(frozen=True)
class Capture:
    """Asks the provider to take what is held ready under an authorization."""

    key: str
    authorization: Authorize


@dataclass(frozen=True)
class CaptureAnswer:
    """A ``reference`` for money taken, or the reason why it can't be any more."""

    reference: str | None = None
    declined: str | None = None


@dataclass(frozen=True)
class Void:
    """Asks the provider to let go what is held ready, and to take nothing under this authorization later."""

    key: str
    authorization: Authorize


@dataclass(frozen=True)
class VoidAnswer:
    """What had been taken already, and can only be given back: mostly nothing."""

    captured: Money


@dataclass(frozen=True)
class Refund:
    """Asks the provider to give back what was taken under an authorization."""

    key: str
    authorization: Authorize
    amount: Money


@dataclass(frozen=True)
class RefundAnswer:
    """The provider's reference for what it gave back."""

    reference: str


# Shipping


@dataclass(frozen=True)
class ShipOrder:
    """Starts a ``ShippingWorkflow``, and is what it asks of its partners."""

    shipment_id: str
    lines: tuple[OrderLine, ...]
    address: Address
    partners: Patience = field(default_factory=Patience)
    delivery_timeout: timedelta = timedelta(days=14)


@dataclass(frozen=True)
class ShipmentStep:
    """Something that happened to a parcel; ``event`` names the carrier's own news of it, and ``actor`` who told."""

    status: ShipmentStatus
    at: datetime
    carrier: str | None = None
    tracking_number: str | None = None
    address: Address | None = None
    note: str | None = None
    event: str | None = None
    actor: str | None = None
    trace_id: str | None = None


@dataclass(frozen=True)
class ShipmentReport:
    """All that has happened to a parcel so far, in order, and what was told of it that changed nothing: ``idle``."""

    shipment_id: str
    steps: list[ShipmentStep]
    idle: list[ShipmentStep]


@dataclass(frozen=True)
class ShipmentTrouble(ShipmentReport):
    """A parcel doesn't get on: the carrier ``refused`` it, and its order must say what now, or nobody answers."""

    reason: str
    refused: bool


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
class DispatchAnswer:
    """What came of a hand-over: either it was done, or the carrier ``refused`` the parcel and says why."""

    dispatched: Dispatched | None = None
    refused: str | None = None


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

    shipment_id: str
    number: int
    accepted: bool
