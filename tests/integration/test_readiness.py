"""Whether PostgreSQL answers, as probes ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Connection, text

from orders.errors import DependencyUnavailable
from orders.ledger.engine import Database
from orders.readiness import database_answers
from orders.settings import DatabaseSettings, load


@pytest.fixture
def narrow(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """One connection for all, of which a probe expects an answer soon."""
    monkeypatch.setattr("orders.readiness.PATIENCE", timedelta(seconds=0.3))
    narrow = Database(load(DatabaseSettings, DATABASE_URL=database_url, DATABASE_POOL_SIZE=1))
    yield narrow
    narrow.close()


def taking(seconds: float, connection: Connection) -> None:
    connection.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})


async def test_a_database_that_is_kept_busy_by_those_whom_it_answers_is_there(narrow: Database) -> None:
    work = [asyncio.ensure_future(narrow.run_async(lambda connection: taking(0.1, connection))) for _ in range(8)]
    await asyncio.sleep(0.15)
    began = time.monotonic()
    await database_answers(narrow)
    assert time.monotonic() - began >= 0.3, "it was not busy enough to try it"
    await asyncio.gather(*work)


async def test_a_database_that_answers_nobody_is_not_there(narrow: Database) -> None:
    await narrow.run_async(lambda connection: taking(0, connection))
    work = asyncio.ensure_future(narrow.run_async(lambda connection: taking(0.8, connection)))
    await asyncio.sleep(0.05)
    with pytest.raises(DependencyUnavailable, match="no answer within"):
        await database_answers(narrow)
    await work
