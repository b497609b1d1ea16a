"""What the activities need of the world outside; ``workers/gateways/`` has the adapters."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from orders.contracts import Charge, ChargeAnswer, RecordEvents, Refund, RefundAnswer, Track, Tracking
from orders.details import Address, OrderLine


class LedgerWriter(Protocol):
    """Keeps what people look up."""

    def record(self, entry: RecordEvents) -> None:
        """Append the events and bring the order's row up to date, in one statement; a repeat changes nothing.

        Raises:
            DependencyUnavailable: the database can't be reached.
        """


class PaymentGateway(Protocol):
    """A payment provider. Every call may be repeated under its key and has one effect."""

    async def charge(self, charge: Charge) -> ChargeAnswer:
        """Take the money, or say why not.

        Raises:
            PartnerUnavailable: the outcome is unknown; ask again under the same key.
        """

    async def refund(self, refund: Refund) -> RefundAnswer:
        """Give back what was taken under the charge's key, and see to it that nothing can be taken under it later.

        Raises:
            PartnerUnavailable: the outcome is unknown; ask again under the same key.
        """


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
        """Name the carrier for this parcel."""

    async def book(self, shipment_id: str, carrier: str) -> Booking:
        """Get the tracking number."""

    async def dispatch(self, shipment_id: str, booking: Booking, address: Address) -> Tracking:
        """Print the label with the address and hand the parcel over; from here on it can't be called back.

        Raises:
            PartnerUnavailable: the outcome is unknown; ask again.
        """

    async def track(self, track: Track) -> Tracking:
        """Say where the parcel is."""
