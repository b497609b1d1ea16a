"""The schema that the migrations make."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, inspect

from orders.ledger.engine import Database
from orders.ledger.tables import metadata as ledger_tables
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
    assert constraints == {"orders_money_check", "events_seq_check"}


async def test_two_migrations_at_once_and_a_third_later_do_no_harm(empty_database: str) -> None:
    done = await asyncio.gather(*(asyncio.to_thread(migrate, empty_database) for _ in range(2)))
    done.append(await asyncio.to_thread(migrate, empty_database))
    assert [each.returncode for each in done] == [0, 0, 0], done
    assert sum("Running upgrade" in each.stderr for each in done) == 1
    database = Database(load(DatabaseSettings, DATABASE_URL=empty_database))
    with database.engine.connect() as connection:
        tables = set(inspect(connection).get_table_names())
    database.close()
    assert tables == {"alembic_version", "orders", "events", "payments", "shipments"}


def test_a_wrong_url_is_one_line_that_names_the_setting() -> None:
    done = migrate("mysql://localhost/orders")
    assert done.returncode == 1
    assert done.stderr.strip() == "DATABASE_URL: mysql is not PostgreSQL; write postgresql://…"
