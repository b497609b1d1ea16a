"""Lists of orders: what one may ask for, and how a page of it is found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from api.bodies import Email
from api.cursors import Cursors
from orders.ledger.lists import OrderFilter, Position
from orders.ledger.reader import LedgerReader
from orders.model import OrderStatus
from orders.order import Order

MAX_PAGE = 200


def _no_number(value: Any) -> Any:
    # Pydantic takes 20260102 for seconds since 1970, which would list everything.
    if isinstance(value, str) and re.fullmatch(r"[+-]?[\d.]+", value):
        raise ValueError("must be a time with its zone such as 2026-01-02T03:04:05Z")
    return value


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must be between the years 1 and 9999") from error


Instant = Annotated[AwareDatetime, BeforeValidator(_no_number), AfterValidator(_utc)]


class ListQuery(BaseModel):
    """The parameters of a list: an unknown one is an error, since a misspelt filter would list everything."""

    model_config = ConfigDict(extra="forbid")

    status: list[OrderStatus] = Field([], description="any of these; may be repeated", examples=[["paid", "shipped"]])
    customer_email: Email | None = Field(
        None, description="upper and lower case are the same", examples=["john@example.com"]
    )
    created_after: Instant | None = Field(None, description="placed then or later", examples=["2026-01-02T03:04:05Z"])
    created_before: Instant | None = Field(None, description="placed earlier", examples=["2026-01-03T00:00:00+01:00"])
    stuck: bool | None = Field(None, description="`true`: only those that don't get on; `false`: only those that do")
    limit: int = Field(50, ge=1, le=MAX_PAGE, description="how many at most")
    cursor: str | None = Field(
        None,
        pattern="^[A-Za-z0-9_.-]+$",
        description="`next` of the page before; the list goes on behind its last order",
    )

    @property
    def wanted(self) -> OrderFilter:
        """The filters."""
        return OrderFilter(
            frozenset(self.status), self.customer_email, self.created_after, self.created_before, self.stuck
        )


@dataclass(frozen=True)
class Page:
    """Orders, and the cursor with which their list goes on, if it does."""

    orders: list[Order]
    next: str | None


class OrderLists:
    """Lists of orders, page by page."""

    def __init__(self, ledger: LedgerReader, cursors: Cursors) -> None:
        self._ledger = ledger
        self._cursors = cursors

    async def page(self, query: ListQuery) -> Page:
        """Find a page.

        Raises:
            RequestValidationError: the cursor is not one of ours.
            DependencyUnavailable: PostgreSQL can't be reached.
        """
        after = None if query.cursor is None else self._cursors.read(query.cursor)
        # One more than is wanted says whether there is a next page.
        found = await self._ledger.page(query.wanted, after, query.limit + 1)
        orders = found[: query.limit]
        if len(found) <= query.limit:
            return Page(orders, None)
        last = orders[-1]
        return Page(orders, self._cursors.write(Position(last.created_at, last.id)))
