"""Figures of the open orders, asked of a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from orders.contracts import RecordEvents
from orders.ledger.engine import Database
from orders.ledger.figures import OPEN, Figures, figures
from orders.ledger.writer import Ledger
from orders.model import PAYMENT, EventType, OrderStatus, Origin
from orders.order import Order, receive
from orders.settings import DatabaseSettings, load
from tests.examples import DETAILS, TOTAL, new_id
from tests.servers import TEMPLATE, create_database

E, S = EventType, OrderStatus
HOUR = timedelta(hours=1)
MONEY = {"amount": TOTAL, "currency": "USD"}


@pytest.fixture
def shop() -> Iterator[Database]:
    """A database without an order."""
    found = Database(load(DatabaseSettings, DATABASE_URL=create_database(f"figures_{new_id()}", TEMPLATE)))
    yield found
    found.close()


class Shop:
    """Orders that come to stand somewhere."""

    def __init__(self, database: Database) -> None:
        self._ledger, self._now = Ledger(database), datetime.now(UTC)

    def order(self, *kinds: EventType, age: timedelta = HOUR) -> Order:
        order, event = receive(new_id(), DETAILS, self._now - age, Origin("ann"))
        events = [event, *(order.record(kind, self._now - age, **self._data(order, kind)) for kind in kinds)]
        self._ledger.record(RecordEvents(order, events, "run", 3))
        return order

    def _data(self, order: Order, kind: EventType) -> dict[str, object]:
        authorization, refund = f"{order.id}:authorize:1", f"{order.id}:refund:1"
        known: dict[EventType, dict[str, object]] = {
            E.PAYMENT_REQUESTED: {"key": authorization, **MONEY},
            E.PAYMENT_AUTHORIZED: {"key": authorization, "reference": "a", **MONEY},
            E.PAYMENT_CAPTURED: {"key": authorization, "reference": "a", **MONEY},
            E.REFUND_REQUESTED: {"key": refund, "authorization": authorization, **MONEY},
            E.REFUNDED: {"key": refund, "authorization": authorization, "reference": "r", **MONEY},
            E.STUCK: {"axis": PAYMENT, "reason": "no answer"},
        }
        return known.get(kind, {})


PAID = (E.VALIDATED, E.PAYMENT_REQUESTED, E.PAYMENT_AUTHORIZED, E.PAYMENT_CAPTURED)


async def test_a_shop_without_open_orders_has_none_of_any_status(shop: Database) -> None:
    Shop(shop).order(E.CANCELLED)
    none = timedelta(0)
    assert await figures(shop) == Figures(dict.fromkeys(OPEN, 0), stuck=0, refunding=0, oldest=none, oldest_refund=none)


async def test_open_orders_are_counted_by_status_with_those_that_are_stuck_or_wait_for_a_refund(
    shop: Database,
) -> None:
    orders = Shop(shop)
    orders.order()
    orders.order(*PAID, age=5 * HOUR)
    orders.order(*PAID, E.REFUND_REQUESTED)
    orders.order(*PAID, E.REFUND_REQUESTED, E.STUCK)
    orders.order(*PAID, E.REFUND_REQUESTED, E.REFUNDED)
    orders.order(*PAID, E.REFUND_REQUESTED, E.REFUNDED, E.CANCELLED, age=90 * HOUR)
    found = await figures(shop)
    assert found.open == {**dict.fromkeys(OPEN, 0), S.RECEIVED: 1, S.PAID: 4}
    assert (found.stuck, found.refunding) == (1, 2)
    assert 5 * HOUR <= found.oldest < 5 * HOUR + timedelta(minutes=5)


async def test_a_refund_s_age_is_that_of_the_one_that_waits_for_longest_whatever_else_is_older(shop: Database) -> None:
    orders = Shop(shop)
    orders.order(*PAID, age=50 * HOUR)
    orders.order(*PAID, E.REFUND_REQUESTED, E.REFUNDED, age=40 * HOUR)
    orders.order(*PAID, E.REFUND_REQUESTED, age=2 * HOUR)
    orders.order(*PAID, E.REFUND_REQUESTED)
    assert 2 * HOUR <= (await figures(shop)).oldest_refund < 2 * HOUR + timedelta(minutes=5)


async def test_an_order_placed_by_a_clock_that_is_ahead_is_of_no_age(shop: Database) -> None:
    Shop(shop).order(age=-HOUR)
    assert (await figures(shop)).oldest == timedelta(0)
