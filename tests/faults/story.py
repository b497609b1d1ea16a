"""An order as its audit trail tells it, by rules written down anew from ``docs/lifecycle.md``.

Nothing here is the product's: an error of its own fold must not hide itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


def _moves(picture: str) -> Mapping[str, frozenset[str]]:
    lines = [line.split(":") for line in picture.strip().splitlines()]
    return {before.strip(): frozenset(after.split()) for before, after in lines}


ORDER_MOVES = _moves("""
    received: validated cancelled rejected
    validated: in_review awaiting_customer payment_failed paid cancelled rejected
    in_review: awaiting_customer payment_failed paid cancelled rejected expired
    awaiting_customer: awaiting_customer payment_failed paid cancelled rejected expired
    payment_failed: payment_failed paid cancelled expired
    paid: payment_failed fulfilling cancelled
    fulfilling: payment_failed shipped cancelled failed
    shipped: completed failed
    completed:
    cancelled:
    rejected:
    expired:
    failed:
""")
PAYMENT_MOVES = _moves("""
    unpaid: pending cancelled
    pending: authorized declined voiding
    authorized: captured declined voiding
    captured: refunding
    declined: pending voiding cancelled
    voiding: captured cancelled
    cancelled: pending
    refunding: refunded
    refunded: pending
""")
PARCEL_MOVES = _moves("""
    requested: picked recalled
    picked: packed recalled
    packed: labelled recalled
    labelled: dispatched recalled
    dispatched: in_transit delivered lost returned
    in_transit: delivered lost returned
    delivered:
    lost:
    returned:
    recalled:
""")
FINAL = frozenset(status for status, after in ORDER_MOVES.items() if not after)
ORDER_BY_EVENT = {
    "validated": "validated",
    "rejected": "rejected",
    "review_started": "in_review",
    "stock_short": "awaiting_customer",
    "payment_authorized": "paid",
    "payment_declined": "payment_failed",
    "payment_cancelled": "payment_failed",
    "shipment_requested": "fulfilling",
    "dispatched": "shipped",
    "completed": "completed",
    "cancelled": "cancelled",
    "expired": "expired",
    "failed": "failed",
}
PAYMENT_BY_EVENT = {
    "payment_requested": "pending",
    "payment_authorized": "authorized",
    "payment_captured": "captured",
    "payment_declined": "declined",
    "void_requested": "voiding",
    "refund_requested": "refunding",
    "refunded": "refunded",
}
PARCEL_EVENTS = frozenset(PARCEL_MOVES) - {"requested"}
QUESTIONS = {
    "payment_requested": "authorize",
    "capture_requested": "capture",
    "void_requested": "void",
    "refund_requested": "refund",
}
ANSWERS = frozenset({"payment_authorized", "payment_captured", "payment_declined", "voided", "refunded"})
AFTER_THE_END = frozenset({"refused", "payment_noticed"})
"""What may still be put on record of an order that is at its end."""
TOLD_ONCE = ("key", "event", "notice", "message_id")
"""By what events say that they tell something that must not be told twice."""


@dataclass
class Charge:
    """What the trail says of one authorization: what was taken under it, and what came back."""

    captured: int = 0
    refunded: int = 0
    refund_key: str | None = None


@dataclass
class Story:
    """What a trail tells; ``complaints`` says what it can't tell as it does."""

    status: str = "received"
    payment: str = "unpaid"
    authorized: int = 0
    captured: int = 0
    refunded: int = 0
    questions: dict[str, dict[str, Any]] = field(default_factory=dict)
    charges: dict[str, Charge] = field(default_factory=dict)
    parcels: list[dict[str, Any]] = field(default_factory=list)
    stock: dict[str, dict[str, int]] = field(default_factory=dict)
    stuck: dict[str, str] = field(default_factory=dict)
    waiting_until: datetime | None = None
    updated_at: datetime | None = None
    placed: dict[str, Any] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """The price of all lines, in minor units."""
        return sum(line["qty"] * line["price"] for line in self.placed.get("lines", []))

    @property
    def held(self) -> int:
        """What the shop has of the customer's money."""
        return self.captured - self.refunded

    @property
    def parcel(self) -> dict[str, Any] | None:
        """The last one."""
        return self.parcels[-1] if self.parcels else None

    def pieces(self) -> dict[str, int]:
        """How many of each article are ordered."""
        found: dict[str, int] = {}
        for line in self.placed.get("lines", []):
            found[line["sku"]] = found.get(line["sku"], 0) + line["qty"]
        return found


def read(events: Iterable[Mapping[str, Any]]) -> Story:
    """Tell an order's story from the rows of ``events``, in the order of their numbers."""
    story, seen = Story(), set()
    for number, event in enumerate(events, start=1):
        kind, data, at = event["type"], event["data"], event["at"]
        where = f"event {event['seq']}, {kind}"
        if event["seq"] != number:
            story.complaints.append(f"{where}: it should have the number {number}")
        if (number == 1) != (kind == "received"):
            story.complaints.append(f"{where}: a trail begins with received, and has it once")
        for told in ((kind, name, data[name]) for name in TOLD_ONCE if data.get(name)):
            if told in seen:
                story.complaints.append(f"{where}: {told[1]} {told[2]} has been told before")
            seen.add(told)
        if story.status in FINAL and kind not in AFTER_THE_END:
            story.complaints.append(f"{where}: the order was {story.status} already")
        try:
            story.complaints += [f"{where}: {complaint}" for complaint in _take(story, kind, data)]
        except (LookupError, TypeError) as error:
            story.complaints.append(f"{where}: its data can't be read ({type(error).__name__}: {error})")
        story.updated_at = max(story.updated_at or at, at)
    return story


def _take(story: Story, kind: str, data: Mapping[str, Any]) -> Iterator[str]:
    before = (story.status, story.payment)
    moves_parcel = kind in PARCEL_EVENTS
    yield from _move(story, kind, data)
    if kind in QUESTIONS:
        _ask(story, kind, data)
    if kind in ANSWERS:
        yield from _answer(story, kind, data)
    _take_details(story, kind, data)
    _take_goods(story, kind, data)
    moves_order = kind in ORDER_BY_EVENT and not _is_underway(before[0], kind)
    moves_payment = _payment_after(before[1], kind, data) is not None
    if moves_order or moves_payment or moves_parcel:
        story.waiting_until = None
    if "until" in data:
        story.waiting_until = datetime.fromisoformat(data["until"])
    over = story.status in FINAL
    moved = {axis for axis, has_moved in (("payment", moves_payment), ("shipment", moves_parcel)) if has_moved}
    story.stuck = {axis: why for axis, why in story.stuck.items() if not over and axis not in moved}


def _is_underway(status: str, kind: str) -> bool:
    """A parcel that is on its way leaves its order shipped, whatever becomes of the money."""
    return status == "shipped" and kind in ("payment_authorized", "payment_declined")


def _payment_after(payment: str, kind: str, data: Mapping[str, Any]) -> str | None:
    if kind == "voided":
        return "captured" if data["amount"] else "cancelled"
    if kind == "payment_cancelled" and payment == "unpaid":
        return "cancelled"
    return PAYMENT_BY_EVENT.get(kind)


def _move(story: Story, kind: str, data: Mapping[str, Any]) -> Iterator[str]:
    to_order = None if _is_underway(story.status, kind) else ORDER_BY_EVENT.get(kind)
    if to_order:
        if to_order not in ORDER_MOVES[story.status]:
            yield f"an order does not go from {story.status} to {to_order}"
        story.status = to_order
    if to_payment := _payment_after(story.payment, kind, data):
        if to_payment not in PAYMENT_MOVES[story.payment]:
            yield f"money does not go from {story.payment} to {to_payment}"
        story.payment = to_payment
    if kind in PARCEL_EVENTS:
        if not story.parcel:
            yield "there is no parcel"
            return
        if kind not in PARCEL_MOVES[story.parcel["status"]]:
            yield f"a parcel does not go from {story.parcel['status']} to {kind}"
        story.parcel["status"] = kind


def _ask(story: Story, kind: str, data: Mapping[str, Any]) -> None:
    authorization = data.get("authorization", data["key"])
    story.questions[data["key"]] = {
        "key": data["key"],
        "kind": QUESTIONS[kind],
        "amount": data["amount"],
        "method": story.placed["payment_method"],
        "status": "pending",
        "reference": None,
        "error": None,
        "authorization": authorization,
    }
    story.charges.setdefault(authorization, Charge())


def _answer(story: Story, kind: str, data: Mapping[str, Any]) -> Iterator[str]:
    asked = story.questions.get(data["key"])
    if not asked:
        yield f"{data['key']} was never asked for"
        return
    is_declined = kind == "payment_declined"
    asked["status"] = "declined" if is_declined else "succeeded"
    asked["reference"] = data.get("reference")
    asked["error"] = data["reason"] if is_declined else None
    yield from _settle(story, kind, data, asked["authorization"])


def _settle(story: Story, kind: str, data: Mapping[str, Any], key: str) -> Iterator[str]:
    charge, authorization, amount = story.charges[key], story.questions[key], data.get("amount", 0)
    if kind == "payment_authorized":
        story.authorized = story.held + amount
        return
    if kind in ("payment_captured", "voided"):
        story.captured += amount
        charge.captured += amount
    if kind == "payment_captured":
        if story.held > story.authorized:
            yield f"{amount} is more than was authorized"
        return
    if kind == "voided":
        authorization["status"] = "succeeded" if amount else "cancelled"
    if kind == "refunded":
        if amount > story.held:
            yield f"{amount} is more than the shop has, {story.held}"
        story.refunded += amount
        charge.refunded, charge.refund_key = charge.refunded + amount, data["key"]
        authorization["status"] = "refunded"
    # Nothing is held ready any more but what was taken.
    story.authorized = story.held


def _take_details(story: Story, kind: str, data: Mapping[str, Any]) -> None:
    match kind:
        case "received":
            story.placed = dict(data)
        case "payment_method_changed":
            story.placed["payment_method"] = data["payment_method"]
        case "address_changed":
            story.placed["shipping_address"] = data["address"]
        case "amended":
            story.placed["lines"] = data["lines"]
        case "stuck":
            story.stuck[data["axis"]] = data["reason"]
        case "dispatch_failed":
            tries = f"try {data['attempt']} of {data['of']}"
            story.stuck["shipment"] = f"the carrier refused the parcel, {tries}: {data['reason']}"


def _take_goods(story: Story, kind: str, data: Mapping[str, Any]) -> None:
    match kind:
        case "shipment_requested":
            new = {"id": data["shipment"], "status": "requested"}
            story.parcels.append({**new, "carrier": None, "tracking_number": None, "address": None})
        case "labelled":
            story.parcels[-1] |= {"carrier": data["carrier"], "tracking_number": data["tracking_number"]}
        case "dispatched":
            story.parcels[-1]["address"] = data["address"]
            story.stock = {sku: {"held": 0, "taken": pieces["held"]} for sku, pieces in story.stock.items()}
        case "stock_reserved":
            story.stock = {sku: {"held": qty, "taken": 0} for sku, qty in story.pieces().items()}
        case "stock_released" | "returned":
            story.stock = {}
