"""The partners and the ledger as the tests need them, written by hand, once.

Each keeps books of what it did under which key, and can be told to fail, to hang or to wait.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from orders.contracts import Charge, ChargeAnswer, RecordEvents, Refund, RefundAnswer, Track, Tracking
from orders.details import Address, OrderLine
from orders.errors import PartnerUnavailable, StaleWrite
from orders.model import Event, Order, ShipmentStatus
from orders.money import Money
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
        await asyncio.wait_for(self._opened.wait(), 60)


@dataclass
class FakeLedger:
    """Keeps what it is told, in memory, and sees to it that nothing is told twice in two ways."""

    orders: dict[str, Order] = field(default_factory=dict)
    trails: dict[str, list[Event]] = field(default_factory=dict)
    writes: int = 0
    failures: int = 0
    stale: int = 0

    def record(self, entry: RecordEvents) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the ledger is away")
        if self.stale:
            self.stale -= 1
            raise StaleWrite(entry.order.id)
        self.writes += 1
        trail = self.trails.setdefault(entry.order.id, [])
        del trail[entry.events[0].seq - 1 :]
        assert len(trail) == entry.events[0].seq - 1, "the trail has a gap"
        trail += entry.events
        self.orders[entry.order.id] = entry.order

    def types(self, order_id: str) -> list[str]:
        return [event.type for event in self.trails.get(order_id, [])]


@dataclass
class FakePayments:
    """A provider that takes money once per key."""

    taken: dict[str, int] = field(default_factory=dict)
    given_back: dict[str, int] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    declines: set[str] = field(default_factory=lambda: {"tok_declined"})
    lost_answers: int = 0
    refund_failures: int = 0
    at_charge: Gate = field(default_factory=Gate)
    _void: set[str] = field(default_factory=set)

    async def charge(self, charge: Charge) -> ChargeAnswer:
        self.asked[charge.key] += 1
        if charge.method in self.declines or charge.key in self._void:
            return ChargeAnswer(declined="the card was declined")
        self.taken[charge.key] = charge.amount.amount
        await self.at_charge.pass_through()
        if self.lost_answers:
            self.lost_answers -= 1
            raise PartnerUnavailable("the answer got lost")
        return ChargeAnswer(reference=f"ref-{charge.key}")

    async def refund(self, refund: Refund) -> RefundAnswer:
        self.asked[refund.key] += 1
        if self.refund_failures:
            self.refund_failures -= 1
            raise PartnerUnavailable("the provider is away")
        self._void.add(refund.charge.key)
        amount = self.taken.get(refund.charge.key, 0)
        self.given_back[refund.charge.key] = amount
        return RefundAnswer(Money(amount, refund.charge.amount.currency), f"ref-{refund.key}")

    @property
    def held(self) -> int:
        """What the shop has of the customers' money."""
        return sum(self.taken.values()) - sum(self.given_back.values())


@dataclass
class FakeWarehouse:
    """A warehouse that remembers what lies in a parcel."""

    packed: set[str] = field(default_factory=set)
    put_back_: set[str] = field(default_factory=set)
    at_pick: Gate = field(default_factory=Gate)

    async def pick(self, shipment_id: str, lines: tuple[OrderLine, ...]) -> None:
        await self.at_pick.pass_through()

    async def pack(self, shipment_id: str) -> None:
        if shipment_id not in self.put_back_:
            self.packed.add(shipment_id)

    async def put_back(self, shipment_id: str) -> None:
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
    at_dispatch: Gate = field(default_factory=Gate)

    async def choose(self, address: Address, lines: tuple[OrderLine, ...]) -> str:
        return "Fake Parcel" if address.country == "US" else "Fake Freight"

    async def book(self, shipment_id: str, carrier: str) -> Booking:
        return Booking(carrier, f"T-{shipment_id}")

    async def dispatch(self, shipment_id: str, booking: Booking, address: Address) -> Tracking:
        await self.at_dispatch.pass_through()
        self.dispatches[shipment_id] += 1
        self.labels.setdefault(shipment_id, address)
        return self._tracking()

    async def track(self, track: Track) -> Tracking:
        self.asked_where += 1
        return self._tracking()

    def _tracking(self) -> Tracking:
        now = datetime.now(UTC)
        if self.asked_where >= self.delivers_after:
            return Tracking(ShipmentStatus.DELIVERED, now, now)
        return Tracking(ShipmentStatus.DISPATCHED, now, now, look_again_after=timedelta(hours=12))
