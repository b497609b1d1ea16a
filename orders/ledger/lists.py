"""Lists of orders: which ones, newest first, from a position on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, Subquery, func, literal, select, tuple_, union_all

from orders.ledger.tables import orders
from orders.model import OrderStatus


@dataclass(frozen=True)
class OrderFilter:
    """Which orders a list has: those for which everything holds that is given.

    Any of ``statuses``; the email in either case; ``created_after`` itself counts, ``created_before`` does not.
    """

    statuses: frozenset[OrderStatus] = frozenset()
    customer_email: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    is_stuck: bool | None = None


class Position(NamedTuple):
    """Where an order stands in a list, and no other does."""

    created_at: datetime
    id: str


def page_of(wanted: OrderFilter, after: Position | None, limit: int) -> Subquery:
    """Select the positions of the first orders behind ``after``, newest first."""
    conditions = list(_conditions(wanted, after))
    of_status = [orders.c.status == status for status in sorted(wanted.statuses)]

    def first(*more: ColumnElement[bool]) -> Select[Any]:
        found = select(orders.c.created_at, orders.c.id).where(*conditions, *more)
        return found.order_by(orders.c.created_at.desc(), orders.c.id.desc()).limit(limit)

    if len(of_status) < 2:  # noqa: PLR2004
        return first(*of_status).subquery("page")
    # An index has the orders of one status by time, not those of several: the page is made of one page for each.
    each = union_all(*(first(status) for status in of_status)).subquery("each")
    merged = select(each).order_by(each.c.created_at.desc(), each.c.id.desc()).limit(limit)
    return merged.subquery("page")


def _conditions(wanted: OrderFilter, after: Position | None) -> Iterator[ColumnElement[bool]]:
    if wanted.customer_email is not None:
        yield func.lower(orders.c.customer_email) == func.lower(wanted.customer_email)
    if wanted.created_after is not None:
        yield orders.c.created_at >= wanted.created_after
    if wanted.is_stuck is not None:
        yield orders.c.stuck.is_not(None) if wanted.is_stuck else orders.c.stuck.is_(None)
    before = wanted.created_before
    # Whichever comes first in the list implies the other. Said twice, PostgreSQL would begin at the time and skip a row
    # for each that was read already.
    if before is not None and (after is None or before <= after.created_at):
        yield orders.c.created_at < before
    elif after is not None:
        position = [literal(value, column.type) for value, column in zip(after, _POSITION, strict=True)]
        yield tuple_(*_POSITION) < tuple_(*position)


_POSITION = (orders.c.created_at, orders.c.id)
