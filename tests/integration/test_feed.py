"""Those who follow orders, on a real PostgreSQL: what they cost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, text

from api.feed import POLL, EventFeed
from orders.contracts import RecordEvents
from orders.ledger.engine import Database
from orders.ledger.reader import _NEWER, MOST_EVENTS, LedgerReader
from orders.ledger.writer import Ledger
from orders.model import EventType, Origin
from orders.order import Order, receive
from orders.settings import DatabaseSettings, load
from tests.counting import Transactions
from tests.examples import DETAILS, new_id
from tests.servers import TEMPLATE, create_database

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def received(ledger: Ledger) -> Order:
    order, event = receive(new_id(), DETAILS, NOW, Origin("ann"))
    ledger.record(RecordEvents(order, [event], "run-1", 3))
    return order


@pytest.fixture
def full_database() -> Iterator[Database]:
    """A database with a hundred events of each of 500 orders."""
    url = create_database(f"full_{new_id()}", TEMPLATE)
    found = Database(load(DatabaseSettings, DATABASE_URL=url, DATABASE_POOL_SIZE=1))
    with found.engine.connect() as connection:
        connection.execute(text("alter table events drop constraint events_order_id_fkey"))
        connection.execute(
            text(
                "insert into events select 'ord_' || o, seq, 'received', now(), 'ann', '{}'"
                " from generate_series(1, 500) o, generate_series(1, 100) seq"
            )
        )
        connection.execute(text("analyze events"))
    yield found
    found.close()


async def test_fifty_who_wait_cost_as_many_statements_as_one(database_url: str, ledger: Ledger) -> None:
    # Of its own: on the one that the tests share the workers of other tests may write meanwhile.
    database = Database(load(DatabaseSettings, DATABASE_URL=database_url, DATABASE_POOL_SIZE=1))
    reader, statements = LedgerReader(database), []
    for waiting in (1, 50):
        orders = [await asyncio.to_thread(received, ledger) for _ in range(waiting)]
        feed = EventFeed(reader, max_waiting=waiting)
        with Transactions(database) as counting, ExitStack() as all_of_them:
            followers = [all_of_them.enter_context(feed.follow(order.id, 1)) for order in orders]
            found = await asyncio.gather(*(each.next(1) for each in followers))
        assert not any(trail.events for trail in found)
        statements.append(counting.so_far)
    print(f"{statements} statements in a second, for 1 and for 50 who wait")
    assert all(0 < count <= 1 / POLL for count in statements)
    database.close()


async def test_each_of_many_gets_the_events_of_its_own_order(ledger: Ledger, reader: LedgerReader) -> None:
    orders = [await asyncio.to_thread(received, ledger) for _ in range(5)]
    late = orders[3]
    event = late.record(EventType.VALIDATED, NOW)
    ledger.record(RecordEvents(late, [event], "run-1", 4))
    marks = {order.id: 1 for order in orders} | {orders[0].id: 0}
    found = await reader.newer(marks)
    assert {order_id: [event.seq for event in events] for order_id, events in found.items()} == {
        orders[0].id: [1],
        late.id: [2],
    }
    assert found[late.id] == [event]


@pytest.mark.parametrize("waiting", [1, 500])
def test_only_what_is_new_is_looked_at(full_database: Database, waiting: int) -> None:
    def explain(connection: Connection) -> str:
        statement = str(_NEWER.compile(dialect=connection.dialect))
        values = [f"ord_{number}" for number in range(1, waiting + 1)], [99] * waiting, MOST_EVENTS
        return "\n".join(connection.exec_driver_sql(f"explain {statement}", values).scalars())

    plan = full_database.run(explain)
    assert "Index Cond: ((order_id = watched.id) AND (seq > watched.mark))" in plan
    assert "Seq Scan" not in plan
