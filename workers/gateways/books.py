"""The books of the simulated partners: what they did, under which key.

In real life these stand at the partner's. They live in a schema of their own, so that a partner simulated by two
workers, or by one that was killed and started again, knows what it has done, and so that a checker can compare
the partner's books with the shop's.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Integer,
    MetaData,
    Row,
    Table,
    Text,
    case,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, Insert, insert

from orders.contracts import Authorize, Capture, Refund, Void
from orders.details import Address
from orders.errors import PartnerUnavailable
from orders.ledger.engine import Database

metadata = MetaData(schema="simulator")

payments = Table(
    "payments",
    metadata,
    Column("key", Text, primary_key=True, comment="of the authorization"),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("status", Text, nullable=False, comment="authorized, captured, declined or void"),
    Column("reference", Text, nullable=False),
    Column("captured", BigInteger, nullable=False),
    Column("refunded", BigInteger, nullable=False),
    Column("refund_key", Text),
    Column("asked", Integer, nullable=False, comment="how often it was asked for under this key"),
)

parcels = Table(
    "parcels",
    metadata,
    Column("shipment_id", Text, primary_key=True),
    Column("carrier", Text, nullable=False),
    Column("tracking_number", Text, nullable=False),
    Column("status", Text, nullable=False, comment="booked or dispatched"),
    Column("label", JSONB, comment="the address as printed"),
    Column("dispatched_at", DateTime(timezone=True)),
    Column("dispatches", Integer, nullable=False, comment="how many hand-overs were asked for"),
)


class PaymentBooks:
    """The books of the simulated payment provider."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def authorize(self, request: Authorize, reference: str, status: str) -> Row[tuple[str, str, int]]:
        """Enter an authorization once; return its status, reference and how often it has been asked for."""
        statement = (
            self._new(request, reference, status, asked=1)
            .on_conflict_do_update(index_elements=[payments.c.key], set_={"asked": payments.c.asked + 1})
            .returning(payments.c.status, payments.c.reference, payments.c.asked)
        )
        return await self._database.run_async(lambda connection: connection.execute(statement).one())

    async def capture(self, request: Capture) -> bool:
        """Take what is held ready, once; False where nothing is."""
        statement = (
            update(payments)
            .where(payments.c.key == request.authorization.key, payments.c.status.in_(["authorized", "captured"]))
            .values(status="captured", captured=payments.c.amount)
            .returning(payments.c.key)
        )
        return await self._database.run_async(lambda connection: bool(connection.execute(statement).all()))

    async def void(self, request: Void, reference: str) -> int:
        """Let go what is held ready; one that never came is void from now on. Returns what had been taken."""
        is_taken = payments.c.status == "captured"
        statement = (
            self._new(request.authorization, reference, "void", asked=0)
            .on_conflict_do_update(
                index_elements=[payments.c.key], set_={"status": case((is_taken, "captured"), else_="void")}
            )
            .returning(payments.c.captured)
        )
        return await self._database.run_async(lambda connection: connection.execute(statement).scalar_one())

    async def refund(self, request: Refund) -> bool:
        """Give back so much of what was taken, once; False where that much is not there."""
        statement = (
            update(payments)
            .where(
                payments.c.key == request.authorization.key,
                payments.c.captured >= request.amount.amount,
                func.coalesce(payments.c.refund_key, request.key) == request.key,
            )
            .values(refunded=request.amount.amount, refund_key=request.key)
            .returning(payments.c.key)
        )
        return await self._database.run_async(lambda connection: bool(connection.execute(statement).all()))

    def _new(self, request: Authorize, reference: str, status: str, asked: int) -> Insert:
        return insert(payments).values(
            key=request.key,
            amount=request.amount.amount,
            currency=request.amount.currency,
            method=request.method,
            status=status,
            reference=reference,
            captured=request.amount.amount if status == "captured" else 0,
            refunded=0,
            asked=asked,
        )


class CarrierBooks:
    """The books of the simulated carriers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def book(self, shipment_id: str, carrier: str, tracking_number: str) -> None:
        """Enter a parcel to come, once, with the carrier that was chosen last."""
        statement = (
            insert(parcels)
            .values(
                shipment_id=shipment_id,
                carrier=carrier,
                tracking_number=tracking_number,
                status="booked",
                dispatches=0,
            )
            .on_conflict_do_update(
                # After a refusal the parcel may go elsewhere, with another carrier.
                index_elements=[parcels.c.shipment_id],
                set_={"carrier": carrier},
                where=parcels.c.dispatches == 0,
            )
        )
        await self._database.run_async(lambda connection: connection.execute(statement))

    async def dispatch(self, shipment_id: str, address: Address) -> datetime:
        """Take a booked parcel over, once, with its label; return when that was.

        Raises:
            PartnerUnavailable: there is no such booking.
        """
        first_time = parcels.c.dispatches == 0
        statement = (
            update(parcels)
            .where(parcels.c.shipment_id == shipment_id)
            .values(
                status="dispatched",
                label=case((first_time, literal(asdict(address), JSONB)), else_=parcels.c.label),
                dispatched_at=func.coalesce(parcels.c.dispatched_at, datetime.now(UTC)),
                dispatches=parcels.c.dispatches + 1,
            )
            .returning(parcels.c.dispatched_at)
        )
        taken: datetime | None = await self._database.run_async(
            lambda connection: connection.execute(statement).scalar_one_or_none()
        )
        if taken is None:
            raise PartnerUnavailable(f"the carrier knows no booking for {shipment_id}")
        return taken

    async def dispatched_at(self, tracking_number: str) -> datetime:
        """Return when a parcel was handed over."""
        query = select(parcels.c.dispatched_at).where(parcels.c.tracking_number == tracking_number)
        found: datetime = await self._database.run_async(lambda connection: connection.execute(query).scalar_one())
        return found
