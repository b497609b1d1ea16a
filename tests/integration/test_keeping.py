"""Which connections are kept, and which of them are trusted, on a real PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, text

from orders.ledger.engine import Database
from orders.settings import DatabaseSettings, load
from tests.counting import Transactions
from tests.examples import new_id

Open = Callable[..., Database]


@pytest.fixture
def opened(database_url: str) -> Iterator[Open]:
    """Databases of one connection at most, by a name of their own, with these settings."""
    there = []

    def opened(**settings: str) -> Database:
        url = f"{database_url}&application_name={new_id()}"
        there.append(Database(load(DatabaseSettings, DATABASE_URL=url, DATABASE_POOL_SIZE=1, **settings)))
        return there[-1]

    yield opened
    for each in there:
        each.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets seconds pass on the wall."""
    now = [time.time()]
    monkeypatch.setattr("orders.ledger.keeping._now", lambda: now[0])

    def passing(seconds: float) -> None:
        now[0] += seconds

    return passing


@pytest.fixture
def signs_of_life(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Which connections were asked for one."""
    asked: list[Any] = []
    real = Database.__init__

    def watched(database: Database, settings: DatabaseSettings) -> None:
        real(database, settings)
        dialect = database.engine.dialect
        ping = dialect.do_ping

        def do_ping(raw: Any) -> bool:
            asked.append(raw)
            return ping(raw)

        monkeypatch.setattr(dialect, "do_ping", do_ping)

    monkeypatch.setattr(Database, "__init__", watched)
    return asked


def backend(connection: Connection) -> int:
    return int(connection.execute(text("select pg_backend_pid()")).scalar_one())


def connections_of(asked: Database, by: Database) -> int:
    query = text("select count(*) from pg_stat_activity where application_name = :name")
    name = asked.engine.url.query["application_name"]
    return int(by.run(lambda connection: connection.execute(query, {"name": name}).scalar_one()))


def test_where_none_is_kept_a_connection_ends_with_its_work(opened: Open, database: Database) -> None:
    passing = opened(DATABASE_POOL="none")
    assert passing.run(lambda _: connections_of(passing, database)) == 1
    assert passing.run(backend) != passing.run(backend)
    for _ in range(100):
        if not connections_of(passing, database):
            break
        time.sleep(0.01)
    assert connections_of(passing, database) == 0


async def test_where_none_is_kept_there_are_no_more_than_threads(opened: Open) -> None:
    passing = opened(DATABASE_POOL="none")
    assert passing.threads._max_workers == 1
    assert await passing.run_async(backend)


@pytest.mark.parametrize("pre_ping", ["false", "true"])
def test_a_kept_connection_that_has_ended_unseen_is_replaced_without_anybody_noticing(
    opened: Open, database: Database, pre_ping: str
) -> None:
    frozen = opened(DATABASE_PRE_PING=pre_ping)
    victim = frozen.run(backend)
    ended = text("select pg_terminate_backend(:pid, 5000)").bindparams(pid=victim)
    assert database.run(lambda connection: connection.execute(ended).scalar_one())
    works = []

    def work(connection: Connection) -> int:
        works.append(connection)
        return backend(connection)

    assert frozen.run(work) != victim
    # Only who has given a sign of life gets work; otherwise the work finds out, and is done again.
    assert len(works) == (1 if pre_ping == "true" else 2)


def test_a_connection_that_has_lain_idle_for_too_long_is_replaced_unasked(
    opened: Open, clock: Callable[[float], None], signs_of_life: list[Any]
) -> None:
    frozen = opened(DATABASE_MAX_IDLE="60", DATABASE_PRE_PING="true")
    first = frozen.run(backend)
    clock(59)
    assert frozen.run(backend) == first
    assert len(signs_of_life) == 1
    clock(61)
    assert frozen.run(backend) != first
    assert len(signs_of_life) == 1


def test_a_sign_of_life_is_one_question_more_for_each_piece_of_work_but_the_first(
    opened: Open, signs_of_life: list[Any]
) -> None:
    asked = opened(DATABASE_PRE_PING="true")
    with Transactions(asked) as transactions:
        for _ in range(3):
            asked.run(backend)
    assert (transactions.so_far, len(signs_of_life)) == (3, 2)


@pytest.mark.parametrize("given", [{}, {"DATABASE_MAX_IDLE": "60"}])
def test_who_asks_for_none_pays_for_none(opened: Open, signs_of_life: list[Any], given: dict[str, str]) -> None:
    kept = opened(**given)
    assert kept.run(backend) == kept.run(backend)
    assert signs_of_life == []
