"""``python -m workers``: starts, waits, drains and leaves."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import NullPool, create_engine, text
from temporalio.client import Client

from cli.embedded import free_port
from orders.contracts import ORDERS_QUEUE, PlaceOrder, order_workflow_id
from orders.ledger.engine import pg8000_url
from orders.ledger.schema import NEEDED
from orders.workflows.order import OrderWorkflow
from tests.examples import DETAILS, new_id
from tests.servers import create_database
from tests.stack.conftest import ROOT

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(database_url: str, process_name: str, tmp_path: Path) -> Iterator[Start]:
    """Start a worker process whose log goes to ``tmp_path / "log"``."""
    started: list[subprocess.Popen[str]] = []

    def run(*queues: str, **settings: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "DATABASE_URL": database_url,
            "TEMPORAL_ADDRESS": os.environ["TESTS_TEMPORAL_ADDRESS"],
            "TEMPORAL_NAMESPACE": f"{process_name}-idle",
            **settings,
        }
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "workers", *queues], cwd=ROOT, env=environment, stdout=log, stderr=log, text=True
            )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def spare_database_url() -> str:
    """A database whose schema is said to be there, without a table."""
    url = create_database(f"bare_{new_id()}")
    engine = create_engine(pg8000_url(url), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text(f"create table alembic_version as select '{NEEDED}' as version_num"))
    return url


def probe(log: Path, path: str) -> tuple[int, str]:
    """Ask a worker, and return the status and what it says."""
    port = next(match[1] for match in [re.search(r"probes are answered on port (\d+)", log.read_text())] if match)
    answer = httpx2.get(f"http://127.0.0.1:{port}{path}", trust_env=False)
    return answer.status_code, answer.json().get("detail") or answer.json()["status"]


def wait_for(words: str, log: Path, process: subprocess.Popen[str]) -> None:
    for _ in range(400):
        if words in log.read_text():
            return
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(log.read_text())


@pytest.mark.parametrize("queues", [("orders",), ("payments", "shipping"), ("orders", "payments", "shipping")])
def test_workers_of_any_queues_share_a_process_that_drains_and_leaves_with_0(
    start: Start, tmp_path: Path, queues: tuple[str, ...]
) -> None:
    log = tmp_path / "log"
    process = start(*queues, WORKER_HEALTH_PORT="0")
    for queue in queues:
        wait_for(f"working on queue {queue}", log, process)
    while probe(log, "/readyz") != (200, "ready"):
        assert probe(log, "/healthz") == (200, "alive")
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert entries[-1]["message"] == "drained"
    assert {entry["service"] for entry in entries} == {f"orders-worker-{'-'.join(queues)}"}


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"TEMPORAL_ADDRESS": "127.0.0.1:9"}, "Temporal"),
        ({"DATABASE_URL": "postgresql://ann:hunter2@127.0.0.1:9/orders"}, "PostgreSQL"),
    ],
)
def test_a_worker_without_its_servers_says_for_what_it_waits_tries_again_and_can_be_stopped(
    start: Start, tmp_path: Path, settings: dict[str, str], name: str
) -> None:
    log = tmp_path / "log"
    process = start("orders", **settings, WORKER_HEALTH_PORT="0")
    wait_for(f"waiting for {name}, next try in 0.5 s", log, process)
    assert probe(log, "/healthz") == (200, "alive")
    assert probe(log, "/readyz") == (503, f"waiting for {name}")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert "hunter2" not in log.read_text()


def test_a_worker_of_a_namespace_that_is_not_there_waits_for_it(start: Start, tmp_path: Path) -> None:
    process = start("orders", TEMPORAL_NAMESPACE="nowhere")
    wait_for("waiting for Temporal, next try in 0.5 s", tmp_path / "log", process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


async def test_a_worker_whose_database_refuses_every_write_can_be_stopped(
    start: Start, tmp_path: Path, idle_client: Client, spare_database_url: str
) -> None:
    process = start("orders", DATABASE_URL=spare_database_url, WORKER_GRACEFUL_SHUTDOWN="2")
    log = tmp_path / "log"
    wait_for("working on queue orders", log, process)
    order_id = new_id()
    handle = await idle_client.start_workflow(
        OrderWorkflow.run,
        PlaceOrder(order_id, DETAILS, datetime.now(UTC), "ann"),
        id=order_workflow_id(order_id),
        task_queue=ORDERS_QUEUE,
    )
    await asyncio.to_thread(wait_for, "Completing activity as failed", log, process)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 60) == 0
    took = time.monotonic() - began
    await handle.terminate()
    assert took < 15


async def test_a_worker_that_is_told_twice_leaves_at_once(
    start: Start, tmp_path: Path, idle_client: Client, spare_database_url: str
) -> None:
    process, log = start("orders", DATABASE_URL=spare_database_url), tmp_path / "log"
    wait_for("working on queue orders", log, process)
    order_id = new_id()
    handle = await idle_client.start_workflow(
        OrderWorkflow.run,
        PlaceOrder(order_id, DETAILS, datetime.now(UTC), "ann"),
        id=order_workflow_id(order_id),
        task_queue=ORDERS_QUEUE,
    )
    await asyncio.to_thread(wait_for, "Completing activity as failed", log, process)
    process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(wait_for, "draining", log, process)
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 10) == 1
    await handle.terminate()
    assert "told twice: leaving at once" in log.read_text()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="which signals are handled is told by Linux alone")
@pytest.mark.parametrize("arguments", [["workers", "orders"], ["api"]])
def test_a_process_can_be_stopped_before_it_has_begun(tmp_path: Path, arguments: list[str]) -> None:
    with (tmp_path / "log").open("w") as log:
        command = [sys.executable, "-m", *arguments]
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "API_PORT": "0"}, stdout=log, stderr=log)
    status = Path(f"/proc/{process.pid}/status")
    # proc_pid_status(5): a bit for each signal, beginning with the first.
    while not int(re.findall(r"SigCgt:\s+(\w+)", status.read_text())[0], 16) >> (signal.SIGTERM - 1) & 1:
        time.sleep(0.005)
    has_loaded = "temporal_sdk_bridge" in Path(f"/proc/{process.pid}/maps").read_text()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert not has_loaded, "it listens late: the first process of a container does not hear what comes before"


def test_an_unknown_queue_is_refused(start: Start, tmp_path: Path) -> None:
    assert start("parcels").wait(20) == 2
    assert "choose from" in (tmp_path / "log").read_text()


def test_the_api_leaves_with_0_as_the_workers_do(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "api"],
            cwd=ROOT,
            env={**os.environ, "API_PORT": str(free_port())},
            stdout=log,
            stderr=log,
            text=True,
        )
    wait_for("Application startup complete", tmp_path / "log", process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_a_wrong_setting_is_one_line(start: Start, tmp_path: Path) -> None:
    assert start("orders", DATABASE_POOL_SIZE="none").wait(20) == 2
    assert (tmp_path / "log").read_text().startswith("DATABASE_POOL_SIZE: ")
    assert len((tmp_path / "log").read_text().splitlines()) == 1
