"""One connection after a statement that was broken off: no answer is taken for that to another question."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, text
from temporalio.exceptions import CancelledError

from orders.activities.ledger import LedgerActivities
from orders.ledger.engine import Database
from orders.settings import DatabaseSettings, load


@pytest.fixture
def narrow(database_url: str) -> Iterator[Database]:
    """A database with one connection."""
    found = Database(load(DatabaseSettings, DATABASE_URL=database_url, DATABASE_POOL_SIZE=1))
    yield found
    found.close()


def test_who_asks_next_never_gets_the_answer_of_one_who_was_broken_off(narrow: Database) -> None:
    def broken_off(connection: Connection) -> None:
        driver = connection.connection.driver_connection
        assert driver
        driver.send_QUERY("select 'theirs'")
        driver._sock.flush()
        # As Temporal's SDK breaks off the threads of activities that are cancelled.
        raise CancelledError

    with pytest.raises(CancelledError):
        narrow.run(broken_off)
    assert narrow.run(lambda connection: connection.execute(text("select 'mine'")).scalars().all()) == ["mine"]


@pytest.mark.parametrize("step", ["record", "record_refusal"])
def test_no_write_to_the_ledger_is_broken_off(step: str) -> None:
    # Where the SDK keeps what an activity was declared with.
    definition = getattr(LedgerActivities, step).__temporal_activity_definition
    assert definition.no_thread_cancel_exception


def test_work_whose_connection_is_reset_is_done_on_another_one(database: Database) -> None:
    tries = []

    def work(connection: Connection) -> int:
        tries.append(connection.execute(text("select pg_backend_pid()")).scalar_one())
        if len(tries) == 1:
            raise ConnectionResetError
        return len(tries)

    assert database.run(work) == 2
    assert len(set(tries)) == 2
