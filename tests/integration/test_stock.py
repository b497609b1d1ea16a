"""The stock, on a real PostgreSQL: what is held for orders, taken away, and put back, in the statement that says so."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from orders.contracts import Recorded, RecordEvents
from orders.details import OrderLine
from orders.errors import StaleWrite
from orders.ledger.engine import Database
from orders.ledger.reader import LedgerReader
from orders.ledger.writer import _RECORD, Ledger, _rows
from orders.model import EventType, Origin
from orders.order import receive
from tests.counting import Transactions
from tests.examples import DETAILS, HOME, new_id

E = EventType
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Book:
    """An order for some pieces of some articles."""

    def __init__(self, **quantities: int) -> None:
        lines = tuple(OrderLine(sku, qty, 100) for sku, qty in quantities.items())
        self.order, received = receive(new_id(), replace(DETAILS, lines=lines), NOW, Origin("ann"))
        self.events = [received]
        self.length = 3

    def record(self, kind: EventType, **data: Any) -> None:
        self.events.append(self.order.record(kind, NOW, **data))

    def entry(self, hold: dict[str, int] | None = None) -> RecordEvents:
        events, self.events = self.events, []
        self.length += 1
        return RecordEvents(copy.deepcopy(self.order), events, "run-1", self.length, hold)

    def reserve(self) -> RecordEvents:
        self.record(E.VALIDATED)
        entry = self.entry(self.order.details.quantities)
        self.record(E.STOCK_RESERVED)
        return entry

    def ship(self) -> None:
        key = f"{self.order.id}:authorize:1"
        money = {"amount": self.order.details.total.amount, "currency": "USD"}
        self.record(E.PAYMENT_REQUESTED, key=key, **money)
        self.record(E.PAYMENT_AUTHORIZED, key=key, reference="r", **money)
        self.record(E.SHIPMENT_REQUESTED, shipment=f"{self.order.id}:1")
        for kind in (E.PICKED, E.PACKED):
            self.record(kind)
        self.record(E.LABELLED, carrier="c", tracking_number="t")
        self.record(E.DISPATCHED, address=asdict(HOME))


class Shelf:
    """Articles of one test's own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, on_hand: int) -> str:
        sku = f"SKU-{new_id()[-8:]}"
        self._database.run(
            lambda connection: connection.execute(
                text("insert into stock values (:sku, :on_hand, 0)"), {"sku": sku, "on_hand": on_hand}
            )
        )
        return sku

    def state(self, sku: str) -> tuple[int, int]:
        """Pieces on the shelf, and those of them that are held."""
        row = self._database.run(
            lambda connection: connection.execute(
                text("select on_hand, reserved from stock where sku = :sku"), {"sku": sku}
            ).one()
        )
        return row.on_hand, row.reserved


@pytest.fixture
def shelf(database: Database) -> Shelf:
    return Shelf(database)


async def test_what_an_order_needs_is_held_in_the_statement_that_writes_it(
    ledger: Ledger, shelf: Shelf, database: Database
) -> None:
    one, other = shelf.put(10), shelf.put(10)
    with Transactions(database) as counting:
        assert ledger.record(Book(**{one: 3, other: 10}).reserve()) == Recorded()
    assert counting.so_far == 1
    assert (shelf.state(one), shelf.state(other)) == ((10, 3), (10, 10))


async def test_where_one_article_is_short_nothing_is_held_and_nothing_is_written(
    ledger: Ledger, reader: LedgerReader, shelf: Shelf
) -> None:
    plenty, short = shelf.put(10), shelf.put(2)
    book = Book(**{plenty: 1, short: 3})
    assert ledger.record(book.reserve()) == Recorded({short: 2})
    assert (shelf.state(plenty), shelf.state(short)) == ((10, 0), (2, 0))
    assert await reader.order(book.order.id) is None


async def test_an_article_that_the_shop_does_not_know_is_told_from_one_that_is_short(
    ledger: Ledger, shelf: Shelf
) -> None:
    short = shelf.put(0)
    assert ledger.record(Book(**{short: 1, "UNHEARD-OF": 1}).reserve()) == Recorded({"UNHEARD-OF": None})
    assert ledger.record(Book(**{short: 1}).reserve()) == Recorded({short: 0})
    assert ledger.record(Book(**{"UNHEARD-OF": 1}).entry({"UNHEARD-OF": 0})) == Recorded({"UNHEARD-OF": None})


async def test_to_look_whether_articles_are_known_holds_nothing(ledger: Ledger, shelf: Shelf) -> None:
    sku = shelf.put(0)
    assert ledger.record(Book(**{sku: 5}).entry({sku: 0})) == Recorded()
    assert shelf.state(sku) == (0, 0)


async def test_a_hold_that_is_repeated_holds_once(ledger: Ledger, shelf: Shelf) -> None:
    sku = shelf.put(10)
    entry = Book(**{sku: 4}).reserve()
    await asyncio.gather(*(asyncio.to_thread(ledger.record, entry) for _ in range(8)))
    assert shelf.state(sku) == (10, 4)


async def test_what_an_order_holds_itself_is_not_short_for_it(ledger: Ledger, shelf: Shelf) -> None:
    """A worker on a longer history held it and died; the next one, on a shorter history, asks the same."""
    sku = shelf.put(3)
    book = Book(**{sku: 3})
    again = copy.deepcopy(book)
    book.length += 10
    ledger.record(book.reserve())
    with pytest.raises(StaleWrite):
        ledger.record(again.reserve())
    again.length += 20
    assert ledger.record(again.entry({sku: 3})) == Recorded()
    assert shelf.state(sku) == (3, 3)
    more = copy.deepcopy(again)
    assert ledger.record(more.entry({sku: 4})) == Recorded({sku: 3})


async def test_an_article_that_is_no_longer_sold_does_not_hold_up_an_order_that_has_left(
    ledger: Ledger, reader: LedgerReader, shelf: Shelf, database: Database
) -> None:
    sku = shelf.put(1)
    book = Book(**{sku: 1})
    ledger.record(book.reserve())
    book.ship()
    ledger.record(book.entry())
    database.run(lambda connection: connection.execute(text("delete from stock where sku = :sku"), {"sku": sku}))
    book.record(E.IN_TRANSIT)
    assert ledger.record(book.entry()) == Recorded()
    assert await reader.order(book.order.id) == book.order


async def test_what_is_released_is_free_again(ledger: Ledger, shelf: Shelf) -> None:
    sku = shelf.put(10)
    book = Book(**{sku: 4})
    ledger.record(book.reserve())
    book.record(E.STOCK_RELEASED)
    book.record(E.CANCELLED, reason=None)
    ledger.record(book.entry())
    assert shelf.state(sku) == (10, 0)


async def test_what_is_dispatched_has_left_the_shelf_and_comes_back_when_it_is_returned(
    ledger: Ledger, shelf: Shelf
) -> None:
    sku = shelf.put(10)
    book = Book(**{sku: 4})
    ledger.record(book.reserve())
    book.ship()
    ledger.record(book.entry())
    assert shelf.state(sku) == (6, 0)
    book.record(E.RETURNED)
    ledger.record(book.entry())
    assert shelf.state(sku) == (10, 0)


async def test_what_a_worker_held_before_its_decision_counted_is_set_right_by_the_next_write(
    ledger: Ledger, shelf: Shelf
) -> None:
    one, other = shelf.put(10), shelf.put(10)
    book = Book(**{one: 4, other: 1})
    ledger.record(copy.deepcopy(book).reserve())
    book.length += 5
    book.record(E.CANCELLED, reason="decided otherwise")
    ledger.record(book.entry())
    assert (shelf.state(one), shelf.state(other)) == ((10, 0), (10, 0))


async def test_a_hold_that_comes_after_the_end_is_refused_and_holds_nothing(ledger: Ledger, shelf: Shelf) -> None:
    sku = shelf.put(10)
    book = Book(**{sku: 4})
    late = copy.deepcopy(book).reserve()
    book.length += 5
    book.record(E.CANCELLED, reason=None)
    ledger.record(book.entry())
    with pytest.raises(StaleWrite):
        ledger.record(late)
    assert shelf.state(sku) == (10, 0)


async def test_two_first_writes_of_one_order_at_once_hold_once(
    ledger: Ledger, shelf: Shelf, database: Database
) -> None:
    sku = shelf.put(10)
    book = Book(**{sku: 4})
    slow, fast = copy.deepcopy(book).reserve(), book.reserve()
    with database.engine.connect().execution_options(isolation_level="READ COMMITTED") as dying:
        dying.execute(_RECORD, _rows(slow))
        waiting = asyncio.create_task(asyncio.to_thread(ledger.record, fast))
        await asyncio.sleep(0.2)
        dying.commit()
    await waiting
    assert shelf.state(sku) == (10, 4)


async def test_of_fifty_orders_at_once_for_ten_pieces_ten_get_one(ledger: Ledger, shelf: Shelf) -> None:
    sku = shelf.put(10)
    answers = await asyncio.gather(*(asyncio.to_thread(ledger.record, Book(**{sku: 1}).reserve()) for _ in range(50)))
    assert sum(answer == Recorded() for answer in answers) == 10
    assert shelf.state(sku) == (10, 10)


async def test_orders_that_name_the_same_articles_in_another_order_do_not_wait_for_each_other(
    ledger: Ledger, shelf: Shelf
) -> None:
    skus = [shelf.put(1000) for _ in range(6)]
    books = [Book(**dict.fromkeys(skus if number % 2 else skus[::-1], 1)) for number in range(60)]
    answers = await asyncio.gather(*(asyncio.to_thread(ledger.record, book.reserve()) for book in books))
    assert set(map(repr, answers)) == {repr(Recorded())}
    assert {shelf.state(sku) for sku in skus} == {(1000, 60)}


async def test_an_order_that_waits_for_an_article_keeps_no_other_from_those_that_come_after_it(
    ledger: Ledger, shelf: Shelf, database: Database
) -> None:
    """Everybody locks articles in the order of their names, so a circle of orders that wait can't come about."""
    first, *others = sorted(shelf.put(10) for _ in range(8))
    lock = text("select from stock where sku = any(:skus) for update nowait")
    with database.engine.connect().execution_options(isolation_level="READ COMMITTED") as holder:
        holder.execute(lock, {"skus": [first]})
        book = Book(**dict.fromkeys([*reversed(others), first], 1))
        waiting = asyncio.create_task(asyncio.to_thread(ledger.record, book.reserve()))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        database.run(lambda connection: connection.execute(lock, {"skus": others}))
        holder.commit()
    assert await waiting == Recorded()
