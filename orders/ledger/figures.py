"""Figures of the open orders, for those who watch over the shop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from sqlalchemy import extract, func, select

from orders.ledger.engine import Database
from orders.ledger.tables import orders
from orders.model import FINAL, OrderStatus, PaymentStatus

OPEN = tuple(status for status in OrderStatus if status not in FINAL)

_REFUNDING = orders.c.payment_status == PaymentStatus.REFUNDING

# An order isn't at its end before its refunds are made, nor stuck after it: the index by status finds all that counts.
# It takes about 2 ms for each thousand open orders, however many there are at their end.
FIGURES = (
    select(
        orders.c.status,
        func.count().label("orders"),
        func.count(orders.c.stuck).label("stuck"),
        func.count().filter(_REFUNDING).label("refunding"),
        # pg8000 takes an interval below zero for one above.
        extract("epoch", func.now() - func.min(orders.c.created_at)).label("age"),
        extract("epoch", func.now() - func.min(orders.c.updated_at).filter(_REFUNDING)).label("refund_age"),
    )
    .where(orders.c.status.in_(OPEN))
    .group_by(orders.c.status)
)


@dataclass(frozen=True)
class Figures:
    """The open orders by status, how many are stuck, how many wait for a refund, and how old the oldest of each is."""

    open: Mapping[OrderStatus, int]
    stuck: int
    refunding: int
    oldest: timedelta
    oldest_refund: timedelta


async def figures(database: Database) -> Figures:
    """Ask for them, in one statement.

    Raises:
        DependencyUnavailable: PostgreSQL can't be reached, or gives no answer in time.
        Overloaded: too many wait for a connection already.
    """
    rows = await database.run_async(lambda connection: connection.execute(FIGURES).all())
    return Figures(
        open=dict.fromkeys(OPEN, 0) | {OrderStatus(row.status): row.orders for row in rows},
        stuck=sum(row.stuck for row in rows),
        refunding=sum(row.refunding for row in rows),
        oldest=_longest(row.age for row in rows),
        oldest_refund=_longest(row.refund_age for row in rows),
    )


def _longest(ages: Iterable[Decimal | None]) -> timedelta:
    # An order is placed by the clock of the API, which may be ahead of the database's.
    return timedelta(seconds=max([0.0, *(float(age) for age in ages if age is not None)]))
