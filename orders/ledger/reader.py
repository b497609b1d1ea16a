"""Reading: an order with all that belongs to it, and its audit trail, one statement each."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, Select, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from orders.details import Address, OrderDetails, OrderLine
from orders.ledger.engine import Database
from orders.ledger.lists import OrderFilter, Position, page_of
from orders.ledger.tables import events, orders, payments, shipments
from orders.model import Event, EventType, OrderStatus, PaymentStatus, ShipmentStatus
from orders.order import Holding, Order, Shipment
from orders.payment import Payment, PaymentOperation


def _rows_as_json(table: Any, order_by: Any) -> Any:
    return (
        select(func.jsonb_agg(aggregate_order_by(func.to_jsonb(table.table_valued()), order_by)))
        .where(table.c.order_id == orders.c.id)
        .scalar_subquery()
    )


_ORDER = select(
    orders,
    _rows_as_json(payments, payments.c.number).label("payments"),
    _rows_as_json(shipments, shipments.c.number).label("shipments"),
)


def listing(wanted: OrderFilter, after: Position | None, limit: int) -> Select[Any]:
    """Select the first orders behind a position, newest first; what belongs to them is looked up for these alone."""
    page = page_of(wanted, after, limit)
    return _ORDER.join(page, page.c.id == orders.c.id).order_by(page.c.created_at.desc(), page.c.id.desc())


class LedgerReader:
    """The reading side, used by the API."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def order(self, order_id: str) -> Order | None:
        """Return an order, or None where there is no such row (yet).

        Raises:
            DependencyUnavailable: PostgreSQL can't be reached.
        """
        query = _ORDER.where(orders.c.id == order_id)
        row = await self._database.run_async(lambda connection: connection.execute(query).one_or_none())
        return _order(row) if row else None

    async def page(self, wanted: OrderFilter, after: Position | None, limit: int) -> list[Order]:
        """Return the first orders behind a position, newest first.

        Raises:
            DependencyUnavailable: PostgreSQL can't be reached.
        """
        query = listing(wanted, after, limit)
        rows = await self._database.run_async(lambda connection: connection.execute(query).all())
        return [_order(row) for row in rows]

    async def order_paid_by(self, reference: str) -> str | None:
        """Return the id of the order that a payment is for, by the provider's reference.

        Raises:
            DependencyUnavailable: PostgreSQL can't be reached.
        """
        query = select(payments.c.order_id).where(payments.c.reference == reference).limit(1)
        return await self._database.run_async(lambda connection: connection.execute(query).scalar_one_or_none())

    async def events(self, order_id: str, after: int = 0) -> list[Event]:
        """Return an order's audit trail, oldest first, from behind ``after``.

        Raises:
            DependencyUnavailable: PostgreSQL can't be reached.
        """
        query = select(events).where(events.c.order_id == order_id, events.c.seq > after).order_by(events.c.seq)
        rows = await self._database.run_async(lambda connection: connection.execute(query).all())
        return [Event(row.seq, EventType(row.type), row.at, row.actor, row.data, row.trace_id) for row in rows]


def _order(row: Row[Any]) -> Order:
    return Order(
        id=row.id,
        details=OrderDetails(
            customer_name=row.customer_name,
            customer_email=row.customer_email,
            currency=row.currency,
            lines=tuple(OrderLine(**line) for line in row.lines),
            shipping_address=Address(**row.shipping_address),
            payment_method=row.payment_method,
            metadata=row.metadata,
        ),
        created_at=row.created_at,
        updated_at=row.updated_at,
        status=OrderStatus(row.status),
        version=row.version,
        payment=Payment(
            status=PaymentStatus(row.payment_status),
            authorized=row.authorized,
            captured=row.captured,
            refunded=row.refunded,
            operations=[
                PaymentOperation(**{name: value for name, value in each.items() if name not in ("order_id", "number")})
                for each in row.payments or []
            ],
        ),
        shipments=[
            Shipment(
                id=each["id"],
                status=ShipmentStatus(each["status"]),
                carrier=each["carrier"],
                tracking_number=each["tracking_number"],
                address=Address(**each["address"]) if each["address"] else None,
            )
            for each in row.shipments or []
        ],
        stock={sku: Holding(**holding) for sku, holding in row.stock.items()},
        stuck=row.stuck or {},
        waiting_until=row.waiting_until,
    )
