"""What the activities need of the world outside; ``workers/gateways/`` has the adapters."""

from __future__ import annotations

from typing import NamedTuple, Protocol

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


class LedgerWriter(Protocol):
    """Keeps what people look up."""

    def record(self, entry: RecordEvents) -> Recorded:
        """Append the events, bring the order and the stock up to date, in one statement; a repeat changes nothing.

        Raises:
            DependencyUnavailable: the database can't be reached.
            StaleWrite: a newer decision stands in the ledger; nothing was written.
        """

    def record_refusal(self, refusal: RecordRefusal) -> None:
        """Append a refusal to the trail of an order that is at its end; a repeat changes nothing.

        Raises:
            DependencyUnavailable: the database can't be reached.
        """


class PaymentGateway(Protocol):
    """A payment provider. Every call may be repeated under its key and has one effect.

    Each call raises ``PartnerUnavailable`` where its outcome is unknown, so that it is asked again under the same
    key, and ``PartnerMisuse`` where the provider says that we ask wrongly.
    """

    async def authorize(self, request: Authorize) -> Authorization:
        """Hold the money ready, or take it at once, or say why not."""

    async def capture(self, request: Capture) -> CaptureAnswer:
        """Take what is held ready, or say why that can't be done any more."""

    async def void(self, request: Void) -> VoidAnswer:
        """Let go what is held ready, and see to it that nothing can be taken under the authorization later.

        What had been taken already is named, and stays taken until it is refunded.
        """

    async def refund(self, request: Refund) -> RefundAnswer:
        """Give back what was taken."""


class Warehouse(Protocol):
    """Where the goods are. Every call may be repeated for the same shipment and has one effect."""

    async def pick(self, shipment_id: str, lines: tuple[OrderLine, ...]) -> None:
        """Take the goods from the shelf."""

    async def pack(self, shipment_id: str) -> None:
        """Put them in a parcel."""

    async def put_back(self, shipment_id: str) -> None:
        """Undo both, however far they came; what is asked for this shipment later has no effect."""


class Booking(NamedTuple):
    """A carrier's promise to take a parcel."""

    carrier: str
    tracking_number: str


class Carrier(Protocol):
    """Those who bring parcels. Every call may be repeated for the same shipment and has one effect."""

    async def choose(self, address: Address, lines: tuple[OrderLine, ...]) -> str:
        """Name the carrier for this parcel.

        Raises:
            DispatchRefused: none goes there.
        """

    async def book(self, shipment_id: str, carrier: str) -> Booking:
        """Get the tracking number."""

    async def dispatch(self, shipment_id: str, booking: Booking, address: Address) -> Tracking:
        """Print the label with the address and hand the parcel over; from here on it can't be called back.

        Raises:
            DispatchRefused: the carrier does not take it, and has not taken it.
            PartnerUnavailable: the outcome is unknown; ask again.
        """

    async def track(self, track: Track) -> Tracking:
        """Say where the parcel is."""
