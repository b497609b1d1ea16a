"""Reading: an order with all that belongs to it, and its audit trail, one statement each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Integer, Row, Select, Text, and_, bindparam, column, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from orders.details import Address, OrderDetails, OrderLine
from orders.ledger.engine import Database
from orders.ledger.lists import OrderFilter, Position, page_of
from orders.ledger.tables import events, orders, payments, shipments
from orders.model import FINAL, Event, EventType, OrderStatus, PaymentStatus, ShipmentStatus
from orders.order import Holding, Order, Shipment, details_as_placed
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

MOST_EVENTS = 1000
"""How many events are read of a trail at once."""
_WATCHED = (
    func.unnest(bindparam("ids", type_=ARRAY(Text)), bindparam("marks", type_=ARRAY(Integer)))
    .table_valued(column("id", Text), column("mark", Integer))
    .render_derived("watched")
)
# The limit also keeps the planner from reading the whole table: each mark is looked up in the primary key.
_BEHIND = (
    select(events)
    .where(events.c.order_id == _WATCHED.c.id, events.c.seq > _WATCHED.c.mark)
    .order_by(events.c.seq)
    .limit(MOST_EVENTS)
    .lateral("behind")
)
_NEWER = select(_BEHIND).select_from(_WATCHED.join(_BEHIND, true())).order_by(_BEHIND.c.seq)


@dataclass(frozen=True)
class Trail:
    """A stretch of an audit trail up to the ``seq`` reached; ``is_over`` where that is the end, and the order's too."""

    events: list[Event]
    reached: int
    is_over: bool


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

    async def details_as_placed(self, order_id: str) -> OrderDetails | None:
        """Return what was ordered, whatever was changed since; None where there is no such order (yet).

        Raises:
            DependencyUnavailable: PostgreSQL can't be reached.
        """
        query = select(events).where(events.c.order_id == order_id, events.c.seq == 1)
        row = await self._database.run_async(lambda connection: connection.execute(query).one_or_none())
        return details_as_placed(_event(row)) if row else None

    async def traceparent(self, order_id: str) -> str | None:
        """Name the span of the request that placed an order; None where there is no such row (yet), or was no span.

        Raises:
            DependencyUnavailable: PostgreSQL can't be reached.
        """
        query = select(orders.c.traceparent).where(orders.c.id == order_id)
        return await self._database.run_async(lambda connection: connection.execute(query).scalar_one_or_none())

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

    async def trail(self, order_id: str, after: int = 0) -> Trail | None:
        """Return an order's audit trail, oldest first, from behind ``after``; None where there is no such row (yet).

        Raises:
            DependencyUnavailable: PostgreSQL can't be reached.
        """
        newer = and_(events.c.order_id == orders.c.id, events.c.seq > after)
        query = (
            select(orders.c.status, orders.c.version, events)
            .outerjoin(events, newer)
            .where(orders.c.id == order_id)
            .order_by(events.c.seq)
            .limit(MOST_EVENTS)
        )
        rows = await self._database.run_async(lambda connection: connection.execute(query).all())
        if not rows:
            return None
        found = [_event(row) for row in rows if row.seq is not None]
        status, version = rows[0].status, rows[0].version
        # Who has seen what never counted may be beyond the end.
        reached = found[-1].seq if found else after
        return Trail(found, reached, is_over=status in FINAL and reached >= version)

    async def newer(self, marks: Mapping[str, int]) -> dict[str, list[Event]]:
        """Return the events of many orders, by order, oldest first, each from behind its own mark.

        Raises:
            DependencyUnavailable: PostgreSQL can't be reached.
        """
        values = {"ids": list(marks), "marks": list(marks.values())}
        rows = await self._database.run_async(lambda connection: connection.execute(_NEWER, values).all())
        found = defaultdict(list)
        for row in rows:
            found[row.order_id].append(_event(row))
        return found


def _event(row: Row[Any]) -> Event:
    return Event(row.seq, EventType(row.type), row.at, row.actor, row.data, row.trace_id)


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
