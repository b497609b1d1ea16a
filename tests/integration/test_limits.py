"""What PostgreSQL ends by itself: a wait for a lock, a transaction that stands idle, a migration in everybody's way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, Engine, NullPool, create_engine, text

from migrations.__main__ import LOCK, NoLock, upgrade
from migrations.__main__ import _main as migrate
from orders.contracts import RecordEvents
from orders.errors import DependencyUnavailable
from orders.ledger.engine import Database, engine_of, pg8000_url
from orders.ledger.limits import of_migration
from orders.ledger.reader import LedgerReader
from orders.ledger.schema import NEEDED
from orders.ledger.writer import Ledger
from orders.model import Origin
from orders.order import receive
from orders.settings import DatabaseSettings, load
from tests.examples import DETAILS, new_id
from tests.servers import TEMPLATE, create_database

Locking = Callable[[str], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def url(process_name: str) -> str:
    """A database of these tests' own, in which nobody else waits for their locks."""
    return create_database(f"limits_{process_name}", TEMPLATE)


@pytest.fixture
def hasty(url: str) -> Iterator[Database]:
    found = Database(load(DatabaseSettings, DATABASE_URL=url, DATABASE_TIMEOUT="0.4", DATABASE_POOL_SIZE=1))
    yield found
    found.close()


@pytest.fixture
def locking(url: str) -> Locking:
    """What locks a table of it."""

    @contextmanager
    def lock(table: str) -> Iterator[None]:
        engine = create_engine(pg8000_url(url), poolclass=NullPool)
        with engine.begin() as connection:
            connection.execute(text("set local lock_timeout = '5s'"))
            connection.execute(text(f"lock table {table} in access exclusive mode"))
            yield

    return lock


def test_a_session_begins_with_limits_that_follow_from_one_setting(hasty: Database) -> None:
    def limits(connection: Connection) -> list[str]:
        names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        return [str(connection.execute(text(f"show {name}")).scalar_one()) for name in names]

    assert hasty.run(limits) == ["400ms", "320ms", "400ms"]


async def test_a_write_that_waits_too_long_for_a_lock_is_unavailable_and_is_done_when_it_is_asked_again(
    hasty: Database, locking: Locking
) -> None:
    order, received = receive(new_id(), DETAILS, datetime(2026, 1, 1, tzinfo=UTC), Origin("ann"))
    entry = RecordEvents(order, [received], "run-1", 3)
    with locking("stock"), pytest.raises(DependencyUnavailable, match="canceling statement due to lock timeout"):
        Ledger(hasty).record(entry)
    assert await LedgerReader(hasty).order(order.id) is None
    Ledger(hasty).record(entry)
    assert await LedgerReader(hasty).order(order.id) == order


def test_a_transaction_that_stands_idle_is_ended_and_lets_go_of_what_it_has_locked(
    hasty: Database, locking: Locking
) -> None:
    with hasty.engine.connect() as frozen:
        frozen.execute(text("begin"))
        frozen.execute(text("lock table stock"))
        began = time.monotonic()
        with locking("stock"):
            assert 0.3 < time.monotonic() - began < 3
        frozen.invalidate()
    hasty.ping()


async def test_migrations_wait_for_a_lock_half_as_long_as_a_statement_may_take_and_have_no_other_limit(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []

    def look(engine: Engine) -> None:
        with engine.connect() as connection:
            names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
            shown.extend(connection.execute(text(f"show {name}")).scalar_one() for name in names)

    monkeypatch.setattr("migrations.__main__.upgrade", look)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("DATABASE_TIMEOUT", "0.4")
    await migrate(None)
    assert shown == ["200ms", "0", "400ms"]


@contextmanager
def behind(url: str) -> Iterator[None]:
    """A schema that lacks its last column, whose table is in use."""
    with create_engine(pg8000_url(url), isolation_level="AUTOCOMMIT", poolclass=NullPool).connect() as connection:
        connection.execute(text("alter table orders drop column traceparent"))
        connection.execute(text("update alembic_version set version_num = '0004'"))
    with create_engine(pg8000_url(url), poolclass=NullPool).begin() as connection:
        connection.execute(text("select count(*) from orders"))
        yield


@pytest.fixture
def migrating(url: str) -> Engine:
    """What a migration has, with little time."""
    settings = load(DatabaseSettings, DATABASE_URL=url, DATABASE_TIMEOUT="0.2")
    start = {"startup_params": dict(of_migration(settings.timeout))}
    return engine_of(settings, connect_args=start, poolclass=NullPool)


async def test_a_migration_that_gets_no_lock_rests_and_is_tried_again(
    migrating: Engine, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with behind(url):
        upgrading = asyncio.create_task(asyncio.to_thread(upgrade, migrating, rests=(0.1,) * 50))
        async with asyncio.timeout(10):
            while "a table is in use: tried again in 0.1 s" not in caplog.text:  # noqa: ASYNC110 - logs give no event
                await asyncio.sleep(0.02)
    await upgrading
    with migrating.connect() as connection:
        assert connection.execute(text("select version_num from alembic_version")).scalar_one() == NEEDED


def test_a_migration_that_never_gets_a_lock_says_what_to_do_and_goes_on_the_next_time(
    migrating: Engine, url: str
) -> None:
    with behind(url), pytest.raises(NoLock, match=r"at each of 3 tries: end the transactions .* lock timeout\)$"):
        upgrade(migrating, rests=(0.01, 0.01))
    upgrade(migrating, rests=())


def test_a_migration_says_who_has_its_lock_and_gives_up_after_a_while(
    migrating: Engine, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with create_engine(pg8000_url(url), poolclass=NullPool).begin() as connection:
        pid = connection.execute(text("select pg_backend_pid()")).scalar_one()
        connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": LOCK})
        with pytest.raises(NoLock, match=rf"^pid {pid} \(user \w+\) .* 0.3 s: .*pg_terminate_backend\({pid}\)"):
            upgrade(migrating, patience=0.3)
    assert caplog.text.count(f"waiting for pid {pid} ") == 1
    upgrade(migrating)
