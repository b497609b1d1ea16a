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
from sqlalchemy.dialects.postgresql import JSONB, insert

from orders.contracts import Charge, Refund
from orders.details import Address
from orders.errors import PartnerUnavailable
from orders.ledger.engine import Database

metadata = MetaData(schema="simulator")

charges = Table(
    "charges",
    metadata,
    Column("key", Text, primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("status", Text, nullable=False, comment="captured, declined or void"),
    Column("reference", Text, nullable=False),
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

    async def charge(self, charge: Charge, reference: str, status: str) -> Row[tuple[str, str, int]]:
        """Enter a charge once; return its status, reference and how often it has been asked for."""
        new = insert(charges).values(
            key=charge.key,
            amount=charge.amount.amount,
            currency=charge.amount.currency,
            method=charge.method,
            status=status,
            reference=reference,
            refunded=0,
            asked=1,
        )
        statement = new.on_conflict_do_update(
            index_elements=[charges.c.key], set_={"asked": charges.c.asked + 1}
        ).returning(charges.c.status, charges.c.reference, charges.c.asked)
        return await self._database.run_async(lambda connection: connection.execute(statement).one())

    async def refund(self, refund: Refund, reference: str) -> int:
        """Give back what was captured, once; a charge that never came is void from now on. Returns the amount."""
        void = insert(charges).values(
            key=refund.charge.key,
            amount=refund.charge.amount.amount,
            currency=refund.charge.amount.currency,
            method=refund.charge.method,
            status="void",
            reference=reference,
            refunded=0,
            refund_key=refund.key,
            asked=0,
        )
        captured = case((charges.c.status == "captured", charges.c.amount), else_=literal(0))
        statement = void.on_conflict_do_update(
            index_elements=[charges.c.key], set_={"refunded": captured, "refund_key": refund.key}
        ).returning(charges.c.refunded)
        return await self._database.run_async(lambda connection: connection.execute(statement).scalar_one())


class CarrierBooks:
    """The books of the simulated carriers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def book(self, shipment_id: str, carrier: str, tracking_number: str) -> None:
        """Enter a parcel to come, once."""
        statement = (
            insert(parcels)
            .values(
                shipment_id=shipment_id,
                carrier=carrier,
                tracking_number=tracking_number,
                status="booked",
                dispatches=0,
            )
            .on_conflict_do_nothing()
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
