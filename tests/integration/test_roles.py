"""The system under the roles of ``docs/database.md``: each does its own, and can't do what is not its own."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from migrations.__main__ import upgrade
from migrations.catalogue import EXAMPLE, enter, read
from orders.ledger.engine import Database, pg8000_url
from orders.ledger.figures import figures
from orders.policy import Policy, ReviewMode
from orders.settings import DatabaseSettings, PartnerSettings, TemporalSettings, WorkerSettings, load
from orders.temporal import connect
from tests.api.conftest import Api, http_of, services_of
from tests.examples import body
from workers.queues import QUEUES
from workers.runner import worker

PAGE = Path(__file__).parent.parent.parent / "docs" / "database.md"
BLOCKS = dict(re.findall(r"<!-- sql: (\w+) -->\n```sql\n(.*?)```", PAGE.read_text(), re.DOTALL))
ROLES = ("orders_migrate", "orders_write", "orders_read")
NOT_ALLOWED = "42501"


@dataclass(frozen=True)
class Guarded:
    """A database with the roles of the page, which have names of this process's own, as they are the whole server's."""

    process: str
    name: str

    def url(self, role: str, name: str | None = None) -> str:
        url = os.environ["TESTS_POSTGRES_URL"].format(name or self.name)
        return re.sub(r"//\w+@", f"//{self.own(role)}@", url) if role != "postgres" else url

    def own(self, text: str) -> str:
        """The page's SQL, for this database."""
        return re.sub(r"\borders_(migrate|write|read)\b", rf"{self.process}_\1", text)

    def run(self, block: str, role: str, name: str | None = None) -> None:
        """Run a block of the page."""
        with self.engine(role, name).connect() as connection:
            for statement in re.sub(r"--.*", "", BLOCKS[block]).split(";")[:-1]:
                connection.execute(text(self.own(statement).replace("database orders", f"database {self.name}")))

    def engine(self, role: str, name: str | None = None) -> Engine:
        return create_engine(pg8000_url(self.url(role, name)), isolation_level="AUTOCOMMIT", poolclass=NullPool)

    def database(self, role: str) -> Database:
        return Database(load(DatabaseSettings, DATABASE_URL=self.url(role)))


@pytest.fixture(scope="module")
def guarded(process_name: str) -> Guarded:
    """As the page says, step by step."""
    found = Guarded(process_name, f"guarded_{process_name}")
    found.run("roles", "postgres", "postgres")
    found.run("defaults", "postgres")
    upgrade(found.engine("orders_migrate"))
    migrating = found.database("orders_migrate")
    enter(migrating, read(EXAMPLE))
    migrating.close()
    found.run("tables", "orders_migrate")
    return found


@pytest.fixture(scope="module")
def sessions(guarded: Guarded) -> Iterator[dict[str, Connection]]:
    """One for each role."""
    with ExitStack() as stack:
        yield {role: stack.enter_context(guarded.engine(role).connect()) for role in ROLES}


@pytest.fixture
async def api(guarded: Guarded, temporal_settings: TemporalSettings, process_name: str) -> AsyncIterator[Api]:
    """An API that reads, and workers that write."""
    client = await connect(temporal_settings.model_copy(update={"namespace": f"{process_name}-guarded"}))
    writing, reading = guarded.database("orders_write"), guarded.database("orders_read")
    async with AsyncExitStack() as running:
        for queue, work in QUEUES.items():
            partners, settings = load(PartnerSettings), load(WorkerSettings, WORKER_GRACEFUL_SHUTDOWN=1)
            await running.enter_async_context(worker(client, queue, work(writing, partners), settings))
        services = services_of(client, reading, Policy(review_mode=ReviewMode.OFF))
        yield Api(await running.enter_async_context(http_of(services)))
    writing.close()
    reading.close()


async def test_an_order_lives_and_is_read_with_no_more_than_these_roles_have(api: Api, guarded: Guarded) -> None:
    assert (await api.http.get("/readyz")).status_code == 200
    delivered = await api.place()
    refunded = await api.place(shipping_address={**body()["shipping_address"], "country": "AQ"})
    await api.until_event(refunded["id"], "dispatch_failed")
    assert (await api.http.post(f"/orders/{refunded['id']}/cancel")).status_code == 200
    await api.until(delivered["id"], "completed")
    # One that comes too late is put on record by a statement of its own.
    assert (await api.http.post(f"/orders/{delivered['id']}/cancel")).status_code == 409
    await api.until_event(delivered["id"], "refused")
    listed = (await api.http.get("/orders")).json()["data"]
    assert {order["status"] for order in listed} == {"completed", "cancelled"}
    writing = guarded.database("orders_write")
    assert (await figures(writing)).stuck == 0
    writing.close()


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("orders_read", "insert into stock values ('MINE', 1, 0)"),
        ("orders_read", "update orders set status = 'completed'"),
        ("orders_read", "delete from events"),
        ("orders_read", "select * from orders for update"),
        ("orders_read", "select * from simulator.payments"),
        ("orders_read", "create table mine (id int)"),
        ("orders_write", "delete from orders"),
        ("orders_write", "truncate events"),
        ("orders_write", "update events set seq = seq + 1"),
        ("orders_write", "update events set order_id = 'another'"),
        ("orders_write", "insert into stock values ('MINE', 1, 0)"),
        ("orders_write", "update stock set sku = 'MINE'"),
        ("orders_write", "delete from stock"),
        ("orders_write", "delete from simulator.payments"),
        ("orders_write", "update alembic_version set version_num = '9999'"),
        ("orders_write", "create table mine (id int)"),
        ("orders_write", "create schema mine"),
        ("orders_write", "drop table events"),
        ("orders_write", "alter table orders drop constraint orders_money_check"),
        ("orders_write", "create trigger mine before insert on events execute function suppress_redundant_updates()"),
        ("orders_migrate", "create role mine"),
    ],
)
def test_what_is_not_a_roles_own_is_refused(sessions: dict[str, Connection], role: str, statement: str) -> None:
    with pytest.raises(DBAPIError) as refused:
        sessions[role].execute(text(statement))
    assert refused.value.orig
    answer = refused.value.orig.args[0]
    assert answer["C"] == NOT_ALLOWED, answer


def test_a_table_of_a_later_migration_is_read_and_written_without_further_words(guarded: Guarded) -> None:
    with guarded.engine("orders_migrate").connect() as connection:
        connection.execute(text("create table later (id int)"))
    with guarded.engine("orders_write").connect() as connection:
        connection.execute(text("insert into later values (1)"))
        connection.execute(text("update later set id = 2"))
        with pytest.raises(DBAPIError, match="permission denied"):
            connection.execute(text("delete from later"))
    with guarded.engine("orders_read").connect() as connection:
        assert connection.execute(text("select id from later")).scalar_one() == 2
    with guarded.engine("orders_migrate").connect() as connection:
        connection.execute(text("drop table later"))


def test_a_database_that_has_had_one_user_comes_to_the_same(guarded: Guarded, process_name: str) -> None:
    older = f"older_{process_name}"
    with guarded.engine("postgres", "postgres").connect() as connection:
        connection.execute(text(f"create role {older} login"))
        connection.execute(text(f"create database {older} owner {older}"))
    upgrade(
        create_engine(
            pg8000_url(guarded.url("postgres", older).replace("postgres@", f"{older}@")),
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
        )
    )
    with guarded.engine("postgres", older).connect() as connection:
        connection.execute(text(f"alter database {older} owner to {guarded.own('orders_migrate')}"))
        connection.execute(text(f"reassign owned by {older} to {guarded.own('orders_migrate')}"))
    for block in ("defaults", "existing", "tables"):
        guarded.run(block, "postgres", older)
    rights = _rights(guarded, older)
    assert (guarded.own("orders_write"), "public", "events", "", "DELETE") in rights
    assert rights == _rights(guarded, guarded.name)


def _rights(guarded: Guarded, name: str) -> set[tuple[str, ...]]:
    query = (
        "select grantee, table_schema, table_name, column_name, privilege_type "
        "from information_schema.column_privileges where table_schema in ('public', 'simulator') union all "
        "select grantee, table_schema, table_name, '', privilege_type "
        "from information_schema.table_privileges where table_schema in ('public', 'simulator') union all "
        "select r.rolname, n.nspname, '', '', 'usage' from pg_namespace n, pg_roles r "
        "where has_schema_privilege(r.oid, n.oid, 'usage') and n.nspname in ('public', 'simulator') "
        f"and r.rolname like '{guarded.process}%'"
    )
    with guarded.engine("postgres", name).connect() as connection:
        return {tuple(row) for row in connection.execute(text(query))}


def test_behind_a_pooler_the_limits_are_the_roles_own(guarded: Guarded) -> None:
    guarded.run("limits", "postgres")
    for role, limit in (("orders_write", "5s"), ("orders_read", "5s"), ("orders_migrate", "0")):
        with guarded.engine(role).connect() as connection:
            assert connection.execute(text("show statement_timeout")).scalar_one() == limit
