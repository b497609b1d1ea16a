"""What a worker process answers to probes."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

import httpx2
import pytest
from sqlalchemy import Connection, text
from temporalio.client import Client

from cli.embedded import free_port
from orders.contracts import PAYMENTS_QUEUE
from orders.errors import InvalidSetting
from orders.ledger.engine import Database
from orders.ledger.schema import NEEDED
from orders.settings import DatabaseSettings, PartnerSettings, TemporalSettings, WorkerSettings, load
from orders.temporal import connect
from tests.counting import Transactions
from tests.examples import new_id
from tests.servers import create_database
from workers.health import Vitals, probed
from workers.queues import QUEUES
from workers.runner import work_on, worker

Ask = Callable[..., Awaitable[httpx2.Response]]


@contextmanager
def asking(vitals: Vitals) -> Iterator[Ask]:
    """Serve the probes, and ask them from another thread, as somebody else does."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    async def ask(path: str, method: str = "GET") -> httpx2.Response:
        return await asyncio.to_thread(httpx2.request, method, f"{url}{path}", trust_env=False)

    with probed(load(WorkerSettings, WORKER_HEALTH_PORT=port), vitals):
        yield ask


@pytest.fixture
async def ask(
    temporal_settings: TemporalSettings, process_name: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Ask]:
    """Ask a process that works on payments."""
    client = await connect(temporal_settings.model_copy(update={"namespace": f"{process_name}-probed"}))
    vitals, stop = Vitals(database), asyncio.Event()
    vitals.client = client
    settings = load(WorkerSettings, WORKER_GRACEFUL_SHUTDOWN=1)
    with asking(vitals) as ask:
        work_of = {PAYMENTS_QUEUE: QUEUES[PAYMENTS_QUEUE](database, load(PartnerSettings))}
        working = asyncio.create_task(work_on(client, work_of, settings, stop, vitals))
        with monkeypatch.context() as impatiently:
            impatiently.setattr("workers.health.FRESH", 0)
            async with asyncio.timeout(10):
                while (await ask("/readyz")).is_error:  # noqa: ASYNC110 - it is asked as Kubernetes asks
                    await asyncio.sleep(0.05)
        yield ask
        stop.set()
        await working
        drained = await ask("/readyz")
        assert (drained.status_code, drained.json()["detail"]) == (503, "draining: no new tasks are taken")
        assert (await ask("/healthz")).status_code == 200


@pytest.fixture
def spare_database() -> Iterator[Database]:
    """A database without a table."""
    found = Database(load(DatabaseSettings, DATABASE_URL=create_database(f"bare_{new_id()}"), DATABASE_POOL_SIZE=1))
    yield found
    found.close()


async def trouble(vitals: Vitals) -> str:
    with asking(vitals) as ask:
        assert (await ask("/healthz")).json() == {"status": "alive"}
        answer = await ask("/readyz")
    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    return str(answer.json()["detail"])


async def test_a_worker_at_work_is_alive_and_ready_and_its_servers_are_not_asked_at_every_probe(
    ask: Ask, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with Transactions(database) as counting:
        for _ in range(5):
            ready, alive = await ask("/readyz"), await ask("/healthz")
            assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
            assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
    assert counting.so_far <= 1
    assert "healthz" not in caplog.text


async def test_a_probe_is_asked_by_get_or_head_and_nothing_else_is_there(ask: Ask) -> None:
    assert (await ask("/readyz?verbose", "HEAD")).status_code == 200
    assert (await ask("/metrics")).status_code == 404
    assert (await ask("/healthz", "POST")).status_code == 501


async def test_a_worker_without_its_servers_is_alive_and_says_for_what_it_waits(database: Database) -> None:
    url = f"postgresql://ann:hunter2@127.0.0.1:{free_port()}/orders"
    away = Database(load(DatabaseSettings, DATABASE_URL=url))
    assert await trouble(Vitals(away)) == "waiting for Temporal and PostgreSQL"
    away.close()
    assert await trouble(Vitals(database)) == "waiting for Temporal"


async def test_a_worker_of_whose_requests_for_tasks_temporal_knows_nothing_is_not_ready_after_a_while(
    database: Database, idle_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    vitals, work = Vitals(database), QUEUES[PAYMENTS_QUEUE](database, load(PartnerSettings))
    vitals.client, vitals.workers = idle_client, [worker(idle_client, PAYMENTS_QUEUE, work, load(WorkerSettings))]
    monkeypatch.setattr("workers.health.FRESH", 0)
    assert await trouble(vitals) == "it has not begun to work"
    monkeypatch.setattr("workers.health.UNSEEN", 0)
    assert await trouble(vitals) == "waiting for Temporal to see it ask for tasks of payments"


async def test_a_schema_that_is_not_there_or_old_makes_unready_until_it_is_new_enough(
    spare_database: Database, idle_client: Client
) -> None:
    async def trouble_now() -> str | None:
        vitals = Vitals(spare_database)
        vitals.client = idle_client
        return await vitals.trouble()

    advice = f"this release needs {NEEDED}: run python -m migrations"
    assert await trouble_now() == f"waiting for migrations (the database has no schema yet, {advice})"
    set_revision(spare_database, "0003")
    assert await trouble_now() == f"waiting for migrations (the schema of the database is at 0003, {advice})"
    for enough in (NEEDED, "9999"):
        set_revision(spare_database, enough)
        assert await trouble_now() == "it has not begun to work"


def set_revision(database: Database, revision: str) -> None:
    def write(connection: Connection) -> None:
        connection.execute(text("create table if not exists alembic_version (version_num text)"))
        connection.execute(text("truncate alembic_version"))
        connection.execute(text("insert into alembic_version values (:revision)"), {"revision": revision})

    database.run(write)


async def test_an_event_loop_that_is_stuck_shows(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.health.TURN", 0.1)
    with asking(Vitals(database)) as ask:
        asked = [asyncio.ensure_future(ask(path)) for path in ("/healthz", "/readyz")]
        await asyncio.sleep(0)
        time.sleep(0.4)  # noqa: ASYNC251 - that is what is tried
        alive, ready = await asyncio.gather(*asked)
    assert (alive.status_code, alive.json()["detail"]) == (503, "the event loop has not turned for 0.1 s")
    assert (ready.status_code, ready.json()["detail"]) == (503, "no answer within 0.1 s")


async def test_a_port_that_is_taken_or_an_address_of_others_is_one_line_that_names_the_setting(
    database: Database,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for settings in (
            load(WorkerSettings, WORKER_HEALTH_PORT=port),
            load(WorkerSettings, WORKER_HEALTH_PORT=0, WORKER_HEALTH_HOST="192.0.2.1"),
        ):
            wanted = pytest.raises(InvalidSetting, match=r"^WORKER_HEALTH_PORT: can't listen on .*another port")
            with wanted, probed(settings, Vitals(database)):
                pass


async def test_without_a_port_nothing_is_served(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with probed(load(WorkerSettings), Vitals(database)):
        assert "probes" not in caplog.text


async def test_a_worker_that_can_not_go_on_ends_its_process(
    temporal_settings: TemporalSettings, database: Database
) -> None:
    client = await connect(temporal_settings.model_copy(update={"namespace": "nowhere"}))
    work_of = {PAYMENTS_QUEUE: QUEUES[PAYMENTS_QUEUE](database, load(PartnerSettings))}
    with pytest.raises(RuntimeError, match="nowhere"):
        await asyncio.wait_for(
            work_on(client, work_of, load(WorkerSettings), asyncio.Event(), Vitals(database)), timeout=10
        )
