"""The partners and the ledger as the tests need them, written by hand, once.

Each keeps books of what it did under which key, and can be told to fail, to hang or to wait.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from orders.contracts import (
    Authorization,
    Authorize,
    Capture,
    CaptureAnswer,
    Recorded,
    RecordEvents,
    RecordRefusal,
    Refund,
    RefundAnswer,
    Track,
    Tracking,
    Void,
    VoidAnswer,
)
from orders.details import Address, OrderLine
from orders.errors import DispatchRefused, PartnerMisuse, PartnerUnavailable, StaleWrite
from orders.model import Event, EventType, ShipmentStatus
from orders.money import Money
from orders.order import Order
from orders.ports import Booking


class Gate:
    """Holds those who come to it until it is opened, and says when somebody has come."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()
        self._reached = asyncio.Event()
        self.open()

    def close(self) -> None:
        self._opened.clear()
        self._reached.clear()

    def open(self) -> None:
        self._opened.set()

    async def reached(self) -> None:
        await asyncio.wait_for(self._reached.wait(), 20)

    async def pass_through(self) -> None:
        self._reached.set()
        # Not wait_for, which in Python 3.11 may take a cancellation for an answer that came at the same time.
        async with asyncio.timeout(60):
            await self._opened.wait()


@dataclass
class FakeLedger:
    """Keeps what it is told, in memory, and sees to it that nothing is told twice in two ways."""

    orders: dict[str, Order] = field(default_factory=dict)
    trails: dict[str, list[Event]] = field(default_factory=dict)
    stock: dict[str, int | None] = field(default_factory=dict)
    """How many pieces there are; plenty of what is not named, and None of what the shop doesn't know."""
    refusals: list[RecordRefusal] = field(default_factory=list)
    writes: int = 0
    failures: int = 0
    refuses: str | None = None
    """While this is set, a write with an event of this type fails."""
    turned_away: int = 0
    ahead: int = 0
    """How often it was told an order that knew more than its events."""
    takes: float = 0
    """How many seconds a write takes."""
    stale: int = 0

    def record(self, entry: RecordEvents) -> Recorded:
        time.sleep(self.takes)
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the ledger is away")
        if any(event.type == self.refuses for event in entry.events):
            self.turned_away += 1
            raise ConnectionError("the ledger is away")
        if self.stale:
            self.stale -= 1
            raise StaleWrite(entry.order.id)
        if missing := self._missing(entry.hold or {}):
            return Recorded(missing)
        self.writes += 1
        trail = self.trails.setdefault(entry.order.id, [])
        if entry.events:
            del trail[entry.events[0].seq - 1 :]
            assert len(trail) == entry.events[0].seq - 1, "the trail has a gap"
            self.ahead += entry.order.version != entry.events[-1].seq
        trail += entry.events
        self.orders[entry.order.id] = entry.order
        return Recorded()

    def record_refusal(self, refusal: RecordRefusal) -> None:
        self.refusals.append(refusal)

    def types(self, order_id: str) -> list[str]:
        return [event.type for event in self.trails.get(order_id, [])]

    def _missing(self, hold: dict[str, int]) -> dict[str, int | None]:
        free = {sku: self.stock.get(sku, 10**6) for sku in hold}
        return {sku: there for sku, there in free.items() if there is None or there < hold[sku]}


@dataclass
class FakePayments:
    """A provider that takes money once per key."""

    authorized: dict[str, int] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)
    given_back: dict[str, int] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    declines: set[str] = field(default_factory=lambda: {"tok_declined"})
    declines_capture: bool = False
    lost_answers: int = 0
    refund_failures: int = 0
    misuses: int = 0
    away: Exception | None = None
    """While this is set, every question ends with it."""
    at_authorize: Gate = field(default_factory=Gate)
    at_capture: Gate = field(default_factory=Gate)
    at_refund: Gate = field(default_factory=Gate)
    _void: set[str] = field(default_factory=set)

    async def authorize(self, request: Authorize) -> Authorization:
        self._ask(request.key)
        if self.misuses:
            self.misuses -= 1
            raise PartnerMisuse("the key is wrong")
        if request.method in self.declines or request.key in self._void:
            return Authorization(declined="the card was declined")
        self.authorized[request.key] = request.amount.amount
        if request.capture:
            self.taken[request.key] = request.amount.amount
        await self.at_authorize.pass_through()
        if self.lost_answers:
            self.lost_answers -= 1
            raise PartnerUnavailable("the answer got lost")
        return Authorization(reference=f"ref-{request.key}")

    async def capture(self, request: Capture) -> CaptureAnswer:
        self._ask(request.key)
        await self.at_capture.pass_through()
        key = request.authorization.key
        if self.declines_capture or key not in self.authorized:
            return CaptureAnswer(declined="the authorization has expired")
        self.taken[key] = self.authorized[key]
        return CaptureAnswer(reference=f"ref-{request.key}")

    async def void(self, request: Void) -> VoidAnswer:
        self._ask(request.key)
        self._fail_now_and_then()
        key, amount = request.authorization.key, request.authorization.amount
        self._void.add(key)
        self.authorized.pop(key, None)
        return VoidAnswer(Money(self.taken.get(key, 0), amount.currency))

    async def refund(self, request: Refund) -> RefundAnswer:
        self._ask(request.key)
        await self.at_refund.pass_through()
        self._fail_now_and_then()
        key = request.authorization.key
        assert request.amount.amount == self.taken[key]
        self._void.add(key)
        self.given_back[key] = request.amount.amount
        return RefundAnswer(f"ref-{request.key}")

    @property
    def held(self) -> int:
        """What the shop has of the customers' money."""
        return sum(self.taken.values()) - sum(self.given_back.values())

    def _ask(self, key: str) -> None:
        self.asked[key] += 1
        if self.away:
            raise self.away

    def _fail_now_and_then(self) -> None:
        if self.refund_failures:
            self.refund_failures -= 1
            raise PartnerUnavailable("the provider is away")


@dataclass
class FakeWarehouse:
    """A warehouse that remembers what lies in a parcel."""

    packed: set[str] = field(default_factory=set)
    put_back_: set[str] = field(default_factory=set)
    away: Exception | None = None
    at_pick: Gate = field(default_factory=Gate)
    at_put_back: Gate = field(default_factory=Gate)

    async def pick(self, shipment_id: str, lines: tuple[OrderLine, ...]) -> None:
        if self.away:
            raise self.away
        await self.at_pick.pass_through()

    async def pack(self, shipment_id: str) -> None:
        if shipment_id not in self.put_back_:
            self.packed.add(shipment_id)

    async def put_back(self, shipment_id: str) -> None:
        await self.at_put_back.pass_through()
        self.packed.discard(shipment_id)
        self.put_back_.add(shipment_id)


@dataclass
class FakeCarrier:
    """A carrier that remembers its labels."""

    labels: dict[str, Address] = field(default_factory=dict)
    dispatches: Counter[str] = field(default_factory=Counter)
    asked_where: int = 0
    delivers_after: int = 0
    """How often it must be asked where a parcel is before it has arrived."""
    look_again_after: timedelta = timedelta(hours=12)
    refusals: int = 0
    """How often it refuses a parcel before it takes it."""
    offers: int = 0
    away: Exception | None = None
    """While this is set, nobody says where a parcel is."""
    at_dispatch: Gate = field(default_factory=Gate)

    async def choose(self, address: Address, lines: tuple[OrderLine, ...]) -> str:
        return "Fake Parcel" if address.country == "US" else "Fake Freight"

    async def book(self, shipment_id: str, carrier: str) -> Booking:
        return Booking(carrier, f"T-{shipment_id}")

    async def dispatch(self, shipment_id: str, booking: Booking, address: Address) -> Tracking:
        await self.at_dispatch.pass_through()
        self.offers += 1
        if self.refusals:
            self.refusals -= 1
            raise DispatchRefused("the address is unknown")
        self.dispatches[shipment_id] += 1
        self.labels.setdefault(shipment_id, address)
        return self._tracking()

    async def track(self, track: Track) -> Tracking:
        self.asked_where += 1
        if self.away:
            raise self.away
        return self._tracking()

    def _tracking(self) -> Tracking:
        now = datetime.now(UTC)
        if self.asked_where >= self.delivers_after:
            return Tracking(ShipmentStatus.DELIVERED, now, now)
        return Tracking(ShipmentStatus.DISPATCHED, now, now, look_again_after=self.look_again_after)


@dataclass
class FakeTrails:
    """The ledger's reading side as those who follow orders need it."""

    trails: defaultdict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    asked: list[dict[str, int]] = field(default_factory=list)
    """The marks of each statement."""
    away: Exception | None = None
    """While this is set, every question ends with it."""
    at_answer: Gate = field(default_factory=Gate)

    async def newer(self, marks: Mapping[str, int]) -> dict[str, list[Event]]:
        self.asked.append(dict(marks))
        found = {order_id: [e for e in self.trails[order_id] if e.seq > mark] for order_id, mark in marks.items()}
        await self.at_answer.pass_through()
        if self.away:
            raise self.away
        return found

    def add(self, order_id: str, *kinds: EventType) -> None:
        trail = self.trails[order_id]
        for kind in kinds:
            trail.append(Event(len(trail) + 1, kind, datetime.now(UTC), "ann", {}))
