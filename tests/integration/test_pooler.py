"""The ledger behind a pooler that lends connections for one transaction each."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from migrations.__main__ import _main as migrate
from orders.contracts import RecordEvents
from orders.errors import DependencyUnavailable, InvalidSetting, SchemaBehind
from orders.ledger.engine import Database
from orders.ledger.reader import LedgerReader
from orders.ledger.schema import check_schema
from orders.ledger.writer import Ledger
from orders.model import Origin
from orders.order import receive
from orders.settings import DatabaseSettings, load
from tests.examples import DETAILS, new_id
from tests.pooler import pooler
from tests.servers import create_database


def reach() -> socket.socket:
    there = socket.socket(socket.AF_UNIX)
    there.connect(parse_qs(urlsplit(os.environ["TESTS_POSTGRES_URL"]).query)["host"][0] + "/.s.PGSQL.5432")
    return there


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with pooler(reach) as port:
        yield port


def behind(port: int, database_url: str, kind: str = "transaction") -> Database:
    url = f"postgresql://postgres@127.0.0.1:{port}{urlsplit(database_url).path}"
    return Database(load(DatabaseSettings, DATABASE_URL=url, DATABASE_POOL_SIZE=1, DATABASE_POOLER=kind))


@pytest.fixture
def pooled(port: int, database_url: str) -> Iterator[Database]:
    found = behind(port, database_url)
    yield found
    found.close()


def backends(connection: Connection) -> set[int]:
    # With a value, which pg8000 has the server take apart from the statement.
    query = text("select pg_backend_pid() + :nothing")
    return {int(connection.execute(query, {"nothing": 0}).scalar_one()) for _ in range(2)}


def test_each_piece_of_work_is_a_transaction_on_whatever_connection_it_is_lent(pooled: Database) -> None:
    lent = [pooled.run(backends) for _ in range(4)]
    assert [len(each) for each in lent] == [1, 1, 1, 1]
    assert lent[0] != lent[1]


async def test_what_was_written_stands_and_is_read(pooled: Database, reader: LedgerReader) -> None:
    order, received = receive(new_id(), DETAILS, datetime(2026, 1, 1, tzinfo=UTC), Origin("ann"))
    Ledger(pooled).record(RecordEvents(order, [received], "run-1", 3))
    assert await reader.order(order.id) == await LedgerReader(pooled).order(order.id) == order


def test_what_fails_leaves_nothing_and_the_next_work_goes_on(pooled: Database) -> None:
    with pytest.raises(DBAPIError, match="division by zero"):
        pooled.run(lambda connection: connection.execute(text("select 1 / :nothing"), {"nothing": 0}))
    pooled.ping()


def test_nothing_is_set_for_a_session_however_little_time_there_is(pooled: Database) -> None:
    def limit(connection: Connection) -> str:
        return str(connection.execute(text("show statement_timeout")).scalar_one())

    assert [pooled.run(limit, time.monotonic() + 1) for _ in range(2)] == ["0", "0"]


def test_a_database_without_a_schema_is_told_from_one_that_is_away(port: int) -> None:
    bare = behind(port, create_database(f"bare_{new_id()}"))
    with pytest.raises(SchemaBehind):
        check_schema(bare)
    bare.close()


def test_a_pooler_that_nobody_has_named_is_unavailable_for_a_reason_that_names_the_setting(
    port: int, database_url: str
) -> None:
    unnamed = behind(port, database_url, "none")
    with pytest.raises(DependencyUnavailable, match=r"startup parameter: statement_timeout: see DATABASE_POOLER$"):
        unnamed.ping()
    unnamed.close()


async def test_migrations_want_the_database_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_POOLER", "transaction")
    with pytest.raises(InvalidSetting, match=r"^DATABASE_POOLER: "):
        await migrate(None)
