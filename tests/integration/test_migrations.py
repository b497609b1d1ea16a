"""The schema that the migrations make."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, NullPool, create_engine, inspect, select, text

from migrations.__main__ import upgrade
from migrations.catalogue import EXAMPLE, InvalidCatalogue, enter, read
from orders.ledger.engine import Database, pg8000_url
from orders.ledger.tables import metadata as ledger_tables
from orders.ledger.tables import stock
from orders.settings import DatabaseSettings, load
from tests.examples import new_id
from tests.servers import create_database
from workers.gateways.books import metadata as simulator_tables


@pytest.fixture
def empty_database() -> str:
    return create_database(f"empty_{new_id()}")


def migrate(url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "migrations"],
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_tables_in_the_code_are_those_that_the_migrations_make(database: Database) -> None:
    wanted = MetaData()
    for each in (ledger_tables, simulator_tables):
        for table in each.tables.values():
            table.to_metadata(wanted)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_schemas": True, "compare_server_default": True, "version_table": "alembic_version"},
        )
        assert compare_metadata(context, wanted) == []
        constraints = {
            name
            for table in ledger_tables.tables.values()
            for name in [each["name"] for each in inspect(connection).get_check_constraints(table.name)]
        }
    assert constraints == {"orders_money_check", "events_seq_check", "stock_no_oversell_check"}


async def test_two_migrations_at_once_and_a_third_later_do_no_harm(empty_database: str) -> None:
    done = await asyncio.gather(*(asyncio.to_thread(migrate, empty_database) for _ in range(2)))
    done.append(await asyncio.to_thread(migrate, empty_database))
    assert [each.returncode for each in done] == [0, 0, 0], done
    assert sum("Running upgrade" in each.stdout for each in done) == 1
    database = Database(load(DatabaseSettings, DATABASE_URL=empty_database))
    with database.engine.connect() as connection:
        tables = set(inspect(connection).get_table_names())
    database.close()
    assert tables == {"alembic_version", "orders", "events", "payments", "shipments", "stock"}


async def test_a_catalogue_enters_what_is_not_there_and_leaves_what_is(empty_database: str, tmp_path: Path) -> None:
    assert (await asyncio.to_thread(migrate, empty_database)).returncode == 0
    file = tmp_path / "catalogue.csv"
    file.write_text("sku,on_hand\nMUG,5\nNEW,7\n")
    database = Database(load(DatabaseSettings, DATABASE_URL=empty_database))
    assert enter(database, read(EXAMPLE)) == len(read(EXAMPLE))
    assert enter(database, read(file)) == 1
    with database.engine.connect() as connection:
        there = dict(connection.execute(select(stock.c.sku, stock.c.on_hand)).tuples().all())
    database.close()
    assert (there["MUG"], there["NEW"], there["ABC123"]) == (1_000_000, 7, 1_000_000)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("article,pieces\nA,1\n", "has to name the columns sku and on_hand"),
        ("sku,on_hand\nA,1\nB\n", "line 3: write an article"),
        ("sku,on_hand\nA,-1\n", "line 2: write an article"),
    ],
)
def test_a_catalogue_that_can_not_be_read_says_where(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "catalogue.csv"
    file.write_text(text)
    with pytest.raises(InvalidCatalogue, match=problem):
        read(file)


async def test_orders_that_are_there_keep_their_money_when_the_lifecycle_comes(empty_database: str) -> None:
    url = create_engine(pg8000_url(empty_database), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    upgrade(url, "0002")
    with url.connect() as connection:
        connection.execute(
            text(
                "insert into orders values ('o1', 'completed', 1, 'n', 'e', 'USD', 100, '[]', '{}', '{}', 'tok_visa', "
                "'captured', 100, 0, 'r', 3, now(), now())"
            )
        )
        connection.execute(
            text("insert into simulator.charges values ('k', 100, 'USD', 'tok_visa', 'captured', 'r', 0, null, 1)")
        )
    upgrade(url)
    with url.connect() as connection:
        order = connection.execute(text("select authorized, captured, stock from orders")).one()
        book = connection.execute(text("select captured from simulator.payments")).scalar_one()
    assert (order.authorized, order.captured, order.stock, book) == (100, 100, {}, 100)


def test_a_schema_of_a_newer_release_stays_as_it_is(empty_database: str, caplog: pytest.LogCaptureFixture) -> None:
    url = create_engine(pg8000_url(empty_database), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    upgrade(url)
    with url.connect() as connection, caplog.at_level(logging.INFO):
        connection.execute(text("update alembic_version set version_num = '9999'"))
        upgrade(url)
        assert connection.execute(text("select version_num from alembic_version")).scalar_one() == "9999"
    assert "is at 9999, of a newer release" in caplog.text


def test_an_index_that_a_failed_try_has_left_is_built_anew(empty_database: str) -> None:
    url = create_engine(pg8000_url(empty_database), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    upgrade(url, "0003")
    with url.connect() as connection:
        connection.execute(text("create index ix_orders_stuck on orders (id)"))
        upgrade(url)
        (index,) = [each for each in inspect(connection).get_indexes("orders") if each["name"] == "ix_orders_stuck"]
    assert index["column_names"] == ["created_at", "id"]


def test_a_wrong_url_is_one_line_that_names_the_setting() -> None:
    done = migrate("mysql://localhost/orders")
    assert done.returncode == 1
    assert done.stderr.strip() == "DATABASE_URL: mysql is not PostgreSQL; write postgresql://…"
