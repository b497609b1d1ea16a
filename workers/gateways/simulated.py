"""Simulated partners: they answer as real ones would, after a settable time, and keep books."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from orders.contracts import (
    Authorization,
    Authorize,
    Capture,
    CaptureAnswer,
    Refund,
    RefundAnswer,
    Track,
    Tracking,
    Void,
    VoidAnswer,
)
from orders.details import Address, OrderLine
from orders.errors import DispatchRefused, PartnerMisuse, PartnerUnavailable
from orders.model import ShipmentStatus
from orders.money import Money
from orders.ports import Booking
from orders.settings import PartnerSettings
from workers.gateways.books import CarrierBooks, PaymentBooks

DECLINES: Mapping[str, str] = {
    "tok_declined": "the card was declined",
    "tok_insufficient_funds": "the card has insufficient funds",
    "tok_expired_card": "the card has expired",
}
"""Test tokens that are declined, in the manner of Stripe's, and what the provider says."""

GOOD = frozenset({"tok_visa", "tok_mastercard", "tok_amex"})
"""Test tokens that pay."""

ANSWER_LOST = "tok_answer_lost"
"""Pays, but the first answer never arrives: what a time-out after the effect looks like."""


CAPTURE_DECLINED = "tok_capture_declined"
"""Is held ready, and can't be taken when it comes to that: what an authorization that has expired looks like."""

UNREACHABLE = frozenset({"AQ"})
"""Countries that no carrier goes to: what a parcel that is refused looks like."""


class SimulatedPayments:
    """A payment provider that honours idempotency keys."""

    def __init__(self, books: PaymentBooks, settings: PartnerSettings) -> None:
        self._books = books
        self._latency = settings.payment_latency.total_seconds()

    async def authorize(self, request: Authorize) -> Authorization:
        """Hold the money ready or take it, or decline; the same key gets the same answer.

        Raises:
            PartnerUnavailable: the answer got lost; ask again under the same key.
        """
        await asyncio.sleep(self._latency)
        decline = DECLINES.get(request.method)
        if not decline and request.method not in GOOD | {ANSWER_LOST, CAPTURE_DECLINED}:
            decline = f"{request.method} is no payment method"
        status = "captured" if request.capture else "authorized"
        reference = _reference("pay", request.key)
        entry = await self._books.authorize(request, reference, "declined" if decline else status)
        if request.method == ANSWER_LOST and entry.asked == 1:
            raise PartnerUnavailable("the payment provider's answer got lost")
        if entry.status == "void":
            return Authorization(declined="the payment was called off")
        return Authorization(declined=decline) if decline else Authorization(reference=entry.reference)

    async def capture(self, request: Capture) -> CaptureAnswer:
        """Take what is held ready."""
        await asyncio.sleep(self._latency)
        if request.authorization.method == CAPTURE_DECLINED or not await self._books.capture(request):
            return CaptureAnswer(declined="the authorization has expired")
        return CaptureAnswer(reference=_reference("cap", request.key))

    async def void(self, request: Void) -> VoidAnswer:
        """Let go what is held ready; nothing can be taken under the authorization later."""
        await asyncio.sleep(self._latency)
        captured = await self._books.void(request, _reference("pay", request.authorization.key))
        return VoidAnswer(Money(captured, request.authorization.amount.currency))

    async def refund(self, request: Refund) -> RefundAnswer:
        """Give back what was taken.

        Raises:
            PartnerMisuse: that much was not taken, or it has been given back under another key.
        """
        await asyncio.sleep(self._latency)
        if request.amount.amount <= 0 or not await self._books.refund(request):
            raise PartnerMisuse(f"{request.amount} can't be given back of {request.authorization.key}")
        return RefundAnswer(_reference("re", request.key))


class SimulatedWarehouse:
    """A warehouse that has everything."""

    def __init__(self, settings: PartnerSettings) -> None:
        self._latency = settings.warehouse_latency.total_seconds()

    async def pick(self, shipment_id: str, lines: tuple[OrderLine, ...]) -> None:
        """Take the goods from the shelf."""
        await asyncio.sleep(self._latency)

    async def pack(self, shipment_id: str) -> None:
        """Put them in a parcel."""
        await asyncio.sleep(self._latency)

    async def put_back(self, shipment_id: str) -> None:
        """Undo both."""
        await asyncio.sleep(self._latency)


class SimulatedCarrier:
    """Two carriers: one for the inland, one for abroad; parcels travel for a settable time."""

    def __init__(self, books: CarrierBooks, settings: PartnerSettings) -> None:
        self._books = books
        self._latency = settings.carrier_latency.total_seconds()
        self._transit = settings.carrier_transit

    async def choose(self, address: Address, lines: tuple[OrderLine, ...]) -> str:
        """Name the carrier for this parcel.

        Raises:
            DispatchRefused: none goes there.
        """
        await asyncio.sleep(self._latency)
        if address.country in UNREACHABLE:
            raise DispatchRefused(f"no carrier goes to {address.country}")
        return "Inland Parcel" if address.country == "US" else "World Freight"

    async def book(self, shipment_id: str, carrier: str) -> Booking:
        """Get the tracking number: the same one for the same shipment."""
        await asyncio.sleep(self._latency)
        tracking_number = _reference("TRK", shipment_id).upper()
        await self._books.book(shipment_id, carrier, tracking_number)
        return Booking(carrier, tracking_number)

    async def dispatch(self, shipment_id: str, booking: Booking, address: Address) -> Tracking:
        """Print the label and take the parcel over."""
        await asyncio.sleep(self._latency)
        return self._tracking(await self._books.dispatch(shipment_id, address))

    async def track(self, track: Track) -> Tracking:
        """Say where the parcel is."""
        await asyncio.sleep(self._latency)
        return self._tracking(await self._books.dispatched_at(track.tracking_number))

    def _tracking(self, dispatched_at: datetime) -> Tracking:
        arrival = dispatched_at + self._transit
        left = arrival - datetime.now(UTC)
        if left <= timedelta(0):
            return Tracking(ShipmentStatus.DELIVERED, arrival, dispatched_at)
        return Tracking(ShipmentStatus.DISPATCHED, dispatched_at, dispatched_at, look_again_after=left)


def _reference(prefix: str, key: str) -> str:
    return f"{prefix}_{hashlib.sha256(key.encode()).hexdigest()[:16]}"
