"""The ledger, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import copy
import socket
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, text

from orders.contracts import RecordEvents, RecordRefusal
from orders.errors import DependencyUnavailable, InvalidSetting, StaleWrite
from orders.ledger.engine import Database, pg8000_url
from orders.ledger.reader import LedgerReader, Trail
from orders.ledger.tables import events as events_table
from orders.ledger.tables import payments, shipments
from orders.ledger.writer import _RECORD, MAX_REFUSALS, Ledger, _rows
from orders.model import Event, EventType, Origin
from orders.order import Order, fold, receive
from orders.settings import DatabaseSettings, load
from tests.counting import Transactions
from tests.examples import DETAILS, TOTAL, WORK, new_id

E = EventType
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
RUN = "run-1"


class Book:
    """An order whose events go to the ledger."""

    def __init__(self) -> None:
        self.order, received = receive(new_id(), DETAILS, NOW, Origin("ann", "ab" * 16))
        self.events = [received]

    def record(self, kind: EventType, **data: Any) -> None:
        self.events.append(self.order.record(kind, NOW + timedelta(seconds=self.order.version), **data))

    def entry(self, count: int, history_length: int = 3, run_id: str = RUN) -> RecordEvents:
        """The write of the last ``count`` events."""
        return RecordEvents(copy.deepcopy(self.order), self.events[-count:], run_id, history_length)


def paid() -> Book:
    book = Book()
    book.record(E.VALIDATED)
    key = book.order.payment.next_key(book.order.id, "authorize")
    book.record(E.PAYMENT_REQUESTED, key=key, amount=TOTAL, currency="USD")
    book.record(E.PAYMENT_AUTHORIZED, key=key, amount=TOTAL, currency="USD", reference="ref")
    book.record(E.PAYMENT_CAPTURED, key=key, amount=TOTAL, currency="USD", reference="ref")
    book.record(E.SHIPMENT_REQUESTED, shipment=f"{book.order.id}:1")
    return book


async def stored(reader: LedgerReader, order_id: str) -> tuple[Order | None, list[Event]]:
    return await reader.order(order_id), (await trail_of(reader, order_id)).events


async def trail_of(reader: LedgerReader, order_id: str, after: int = 0) -> Trail:
    trail = await reader.trail(order_id, after)
    assert trail
    return trail


async def test_what_was_written_is_read_and_is_the_fold_of_its_events(ledger: Ledger, reader: LedgerReader) -> None:
    book = paid()
    ledger.record(book.entry(6))
    order, events = await stored(reader, book.order.id)
    assert order == book.order == fold(book.order.id, events)
    assert events == book.events


async def test_a_repeated_write_changes_nothing(ledger: Ledger, reader: LedgerReader) -> None:
    book = paid()
    ledger.record(book.entry(6))
    before = await stored(reader, book.order.id)
    for _ in range(3):
        ledger.record(book.entry(6))
    assert await stored(reader, book.order.id) == before


async def test_a_write_adds_its_events_and_leaves_the_earlier_ones(ledger: Ledger, reader: LedgerReader) -> None:
    book = Book()
    ledger.record(book.entry(1))
    book.record(E.VALIDATED)
    book.record(E.ADDRESS_CHANGED, address=asdict(WORK))
    ledger.record(book.entry(2))
    order, events = await stored(reader, book.order.id)
    assert [event.seq for event in events] == [1, 2, 3]
    assert order is not None
    assert (order.version, order.details.shipping_address) == (3, WORK)


async def test_events_can_be_read_from_behind_one(ledger: Ledger, reader: LedgerReader) -> None:
    book = paid()
    ledger.record(book.entry(6))
    assert [event.seq for event in (await trail_of(reader, book.order.id, after=3)).events] == [4, 5, 6]
    assert await trail_of(reader, book.order.id, after=6) == Trail([], 6, is_over=False)


async def test_an_older_decision_that_comes_late_is_refused_and_changes_nothing(
    ledger: Ledger, reader: LedgerReader
) -> None:
    book, other = Book(), Book()
    other.order = replace(other.order, id=book.order.id)
    other.record(E.REJECTED, reason="decided by a worker that died")
    late = other.entry(2, history_length=3)
    book.record(E.VALIDATED)
    ledger.record(book.entry(2, history_length=8))
    before = await stored(reader, book.order.id)
    with pytest.raises(StaleWrite):
        ledger.record(late)
    assert await stored(reader, book.order.id) == before


async def test_a_newer_decision_replaces_one_that_never_counted(ledger: Ledger, reader: LedgerReader) -> None:
    """A worker wrote, and died before its workflow task was completed; the next one decided otherwise."""
    lost, kept = paid(), Book()
    lost.order = replace(lost.order, id=kept.order.id)
    ledger.record(lost.entry(6, history_length=3))
    kept.record(E.VALIDATED)
    kept.record(E.CANCEL_REQUESTED, reason="changed my mind")
    ledger.record(kept.entry(3, history_length=5))
    order, events = await stored(reader, kept.order.id)
    assert order == kept.order == fold(kept.order.id, events)
    assert order is not None
    assert (order.payment.operations, order.shipments) == ([], [])


async def test_a_newer_decision_leaves_nothing_of_one_that_is_committed_while_it_waits(
    ledger: Ledger, reader: LedgerReader, database: Database
) -> None:
    lost, kept = paid(), Book()
    lost.order = replace(lost.order, id=kept.order.id)
    kept.record(E.VALIDATED)
    ledger.record(kept.entry(2, history_length=3))
    kept.record(E.CANCELLED, reason="changed my mind")
    with database.engine.connect().execution_options(isolation_level="READ COMMITTED") as late:
        late.execute(_RECORD, _rows(lost.entry(6, history_length=4)))
        writing = asyncio.create_task(asyncio.to_thread(ledger.record, kept.entry(1, history_length=6)))
        await asyncio.sleep(0.3)
        assert not writing.done()
        late.commit()
        await writing
    order, events = await stored(reader, kept.order.id)
    assert order == kept.order == fold(kept.order.id, events)


async def test_a_reset_run_may_write_although_its_history_is_shorter(ledger: Ledger, reader: LedgerReader) -> None:
    book = paid()
    ledger.record(book.entry(6, history_length=40))
    again = Book()
    again.order = replace(again.order, id=book.order.id)
    ledger.record(again.entry(1, history_length=10, run_id="run-2"))
    order, events = await stored(reader, book.order.id)
    assert order == again.order
    assert [event.type for event in events] == [E.RECEIVED]


async def test_writes_of_many_orders_at_once_do_not_disturb_each_other(ledger: Ledger, reader: LedgerReader) -> None:
    books = [paid() for _ in range(20)]
    await asyncio.gather(*(asyncio.to_thread(ledger.record, book.entry(6)) for book in books))
    assert [await reader.order(book.order.id) for book in books] == [book.order for book in books]


async def test_the_same_write_at_once_counts_once(ledger: Ledger, database: Database) -> None:
    book = paid()
    await asyncio.gather(*(asyncio.to_thread(ledger.record, book.entry(6)) for _ in range(10)))
    with database.engine.connect() as connection:
        for table, rows in [(events_table, 6), (payments, 1), (shipments, 1)]:
            count = select(func.count()).select_from(table).where(table.c.order_id == book.order.id)
            assert connection.execute(count).scalar_one() == rows


async def test_a_write_costs_one_transaction(ledger: Ledger, database: Database) -> None:
    book = paid()
    with Transactions(database) as counting:
        ledger.record(book.entry(6))
    assert counting.so_far == 1


def late(order_id: str, message_id: str = "m1") -> RecordRefusal:
    return RecordRefusal(order_id, message_id, "cancel", "its life is over", NOW + timedelta(hours=1), "ann", "ab" * 16)


def ended() -> Book:
    book = Book()
    book.record(E.REJECTED, reason="no")
    return book


async def test_a_refusal_after_the_end_is_appended_once(ledger: Ledger, reader: LedgerReader) -> None:
    book = ended()
    ledger.record(book.entry(2))
    for _ in range(3):
        ledger.record_refusal(late(book.order.id))
    ledger.record_refusal(late(book.order.id, "m2"))
    order, events = await stored(reader, book.order.id)
    assert [(event.seq, event.type) for event in events[2:]] == [(3, E.REFUSED), (4, E.REFUSED)]
    assert (events[2].actor, events[2].trace_id, events[2].data["reason"]) == ("ann", "ab" * 16, "its life is over")
    assert order == fold(book.order.id, events)


async def test_a_refusal_leaves_an_order_the_fold_of_its_events_whatever_the_clocks_say(
    ledger: Ledger, reader: LedgerReader
) -> None:
    book = ended()
    ledger.record(book.entry(2))
    ledger.record_refusal(replace(late(book.order.id), at=NOW - timedelta(days=1)))
    order, events = await stored(reader, book.order.id)
    assert order == fold(book.order.id, events)


async def test_refusals_after_the_end_at_once_leave_no_gap(ledger: Ledger, reader: LedgerReader) -> None:
    book = ended()
    ledger.record(book.entry(2))
    refusals = [late(book.order.id, f"m{number}") for number in range(20)]
    await asyncio.gather(*(asyncio.to_thread(ledger.record_refusal, refusal) for refusal in refusals))
    order, events = await stored(reader, book.order.id)
    assert [event.seq for event in events] == list(range(1, 23))
    assert order == fold(book.order.id, events)


async def test_only_so_many_refusals_are_appended(ledger: Ledger, reader: LedgerReader) -> None:
    book = ended()
    ledger.record(book.entry(2))
    for number in range(MAX_REFUSALS + 3):
        ledger.record_refusal(late(book.order.id, f"m{number}"))
    assert len((await trail_of(reader, book.order.id)).events) == 2 + MAX_REFUSALS


async def test_nobody_but_its_workflow_writes_to_an_order_that_lives(ledger: Ledger, reader: LedgerReader) -> None:
    book = paid()
    ledger.record(book.entry(6))
    ledger.record_refusal(late(book.order.id))
    assert len((await trail_of(reader, book.order.id)).events) == 6


async def test_an_unknown_order_is_none(reader: LedgerReader) -> None:
    assert await reader.order("nobody") is None
    assert await reader.trail("nobody") is None


async def test_a_database_that_is_not_there_is_said_to_be_unavailable() -> None:
    away = Database(load(DatabaseSettings, DATABASE_URL="postgresql://ann:hunter2@127.0.0.1:9/orders"))
    with pytest.raises(DependencyUnavailable, match="PostgreSQL") as refused:
        Ledger(away).record(paid().entry(6))
    assert "hunter2" not in str(refused.value)
    away.close()


@pytest.mark.parametrize("database_name", ["nothing", "noth%20ing"])
async def test_a_database_that_does_not_exist_is_said_to_be_unavailable(database_url: str, database_name: str) -> None:
    path, _, query = database_url.partition("?")
    away = Database(load(DatabaseSettings, DATABASE_URL=f"{path.rpartition('/')[0]}/{database_name}?{query}"))
    # The server says why and closes at once; whether pg8000 still reads what it said is a race.
    with pytest.raises(DependencyUnavailable, match=r"PostgreSQL is unavailable: (database .* does not exist|network)"):
        away.ping()
    away.close()


def test_a_server_that_takes_connections_and_says_nothing_is_said_to_be_unavailable() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"postgresql://ann@127.0.0.1:{silent.getsockname()[1]}/orders"
        database = Database(load(DatabaseSettings, DATABASE_URL=url, DATABASE_TIMEOUT="0.1"))
        with pytest.raises(DependencyUnavailable, match="PostgreSQL"):
            database.ping()
        database.close()


def test_a_connection_whose_answer_did_not_come_is_not_used_again(database_url: str) -> None:
    database = Database(load(DatabaseSettings, DATABASE_URL=database_url, DATABASE_POOL_SIZE=1))

    def backend(connection: Connection) -> int:
        return int(connection.execute(text("select pg_backend_pid()")).scalar_one())

    def fall_silent(_: Connection) -> None:
        raise TimeoutError("timed out")

    first = database.run(backend)
    assert database.run(backend) == first
    with pytest.raises(DependencyUnavailable, match="no answer"):
        database.run(fall_silent)
    assert database.run(backend) != first
    database.close()


async def test_a_statement_that_takes_too_long_is_said_to_be_unavailable(database_url: str) -> None:
    slow = Database(load(DatabaseSettings, DATABASE_URL=database_url, DATABASE_TIMEOUT="0.2"))
    with pytest.raises(DependencyUnavailable, match="statement timeout"):
        slow.run(lambda connection: connection.execute(text("select pg_sleep(3)")))
    slow.ping()
    slow.close()


@pytest.mark.parametrize(
    "url", ["nonsense", "mysql://h/d", "postgresql://h/d?channel_binding=require", "postgresql://h:port/d"]
)
def test_a_url_that_cannot_be_used_names_its_setting(url: str) -> None:
    with pytest.raises(InvalidSetting, match=r"^DATABASE_URL: "):
        pg8000_url(url)


async def test_a_lost_connection_is_replaced_without_anybody_noticing(database_url: str, reader: LedgerReader) -> None:
    name = "to-be-lost"
    settings = load(DatabaseSettings, DATABASE_URL=f"{database_url}&application_name={name}", DATABASE_POOL_SIZE=1)
    database = Database(settings)
    ledger = Ledger(database)
    ledger.record(paid().entry(6))
    with database.engine.connect() as connection:
        victim = connection.execute(text("select pg_backend_pid()")).scalar_one()
    await reader._database.run_async(
        lambda connection: connection.execute(text("select pg_terminate_backend(:pid)"), {"pid": victim})
    )
    book = paid()
    ledger.record(book.entry(6))
    assert await reader.order(book.order.id) == book.order
    database.close()
