"""``orders up``: the whole system in real processes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import create_engine, text

from cli import stack
from cli.client import ApiError
from cli.demonstration import Demonstration
from cli.waterfall import GOES_ON
from orders.ledger.engine import pg8000_url
from tests.examples import body
from tests.stack.conftest import Up, alive, orders, orders_alone


def test_three_orders_are_delivered(up: Up) -> None:
    placed = [up.post(body()) for _ in range(3)]
    for order in placed:
        done = up.until(order["id"], "completed")
        assert done["payment"]["captured"] == "99.99"


def test_the_addresses_of_everything_are_printed(up: Up) -> None:
    printed = up.output
    for part in (
        f"{up.url}/docs",
        "orders trace ID",
        "Temporal's page",
        "psql 'postgresql://postgres@/orders?host=/",
        "logs",
    ):
        assert part in printed


def test_each_process_serves_its_metrics_at_the_address_that_is_printed(up: Up) -> None:
    (line,) = [line for line in up.output.splitlines() if line.startswith("metrics ")]
    urls = line.removeprefix("metrics").strip().split(", ")
    assert len(urls) == 4
    # The API tells of requests, of which there have to be some.
    up.post(body())
    told = [httpx2.get(url, trust_env=False).text for url in urls]
    services = ["orders-api", "orders-worker-orders", "orders-worker-payments", "orders-worker-shipping"]
    assert [service for service, text in zip(services, told, strict=True) if f'"{service}"' not in text] == []


def test_orders_survive_the_death_of_each_process_and_are_charged_once(up: Up) -> None:
    placed = []
    for victim in ("worker-orders", "worker-payments", "worker-shipping", "api"):
        placed.append(up.post(body()))
        up.until(placed[-1]["id"], "in_review")
        os.kill(up.pid(victim), signal.SIGKILL)
    # Each goes on while the next one is killed: Temporal waits 10 s for a worker that had an order in its memory.
    for order in placed:
        assert _patiently(up, order["id"])["payment"]["captured"] == "99.99"
    url = next(line.split("'")[1] for line in up.output.splitlines() if "psql" in line)
    engine = create_engine(pg8000_url(url))
    query = text("select count(*), sum(refunded) from simulator.payments where key like :key and status = 'captured'")
    with engine.connect() as connection:
        charged = [tuple(connection.execute(query, {"key": f"{order['id']}:%"}).one()) for order in placed]
    engine.dispose()
    assert charged == [(1, 0)] * len(placed)


def _patiently(up: Up, order_id: str) -> dict[str, Any]:
    """Ask until the order is completed; the API itself may be away for a moment."""
    for _ in range(40):
        try:
            return up.until(order_id, "completed")
        except httpx2.RequestError:
            time.sleep(0.5)
    raise AssertionError("the API did not come back")


def test_an_order_survives_the_death_of_the_database(up: Up) -> None:
    placed = up.post(body())
    up.until(placed["id"], "in_review")
    os.kill(int((up.folder / "postgres" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    for _ in range(100):
        if "PostgreSQL has died" in up.output:
            break
        time.sleep(0.1)
    for _ in range(200):
        if up.get("/readyz")["status"] == "ready":
            break
        time.sleep(0.1)
    assert up.until(placed["id"], "completed")["payment"]["captured"] == "99.99"


def test_what_stops_leaves_nothing_running_and_what_starts_again_knows_its_orders(up: Up) -> None:
    placed = up.post(body())
    up.until(placed["id"], "completed")
    assert up.stop(signal.SIGINT) < 15
    assert up.process.returncode == 0
    assert alive(up.folder) == []
    up.start()
    assert up.get(f"/orders/{placed['id']}")["status"] == "completed"
    up.until(up.post(body())["id"], "completed")
    # A second one in the same folder is refused, and does not disturb the first.
    second = orders_alone("up", "--data-dir", str(up.folder))
    assert second.returncode == 2
    assert "choose another --data-dir" in second.stderr
    # What was killed leaves its children; the next run ends them and goes on.
    up.process.kill()
    up.process.wait()
    assert alive(up.folder)
    up.start()
    assert "an earlier run had not stopped" in up.output
    assert up.get(f"/orders/{placed['id']}")["status"] == "completed"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"API_PORT": "taken"}, "port taken is taken: choose another with --api-port or API_PORT"),
        ({"STACK_TEMPORAL_PORT": "taken"}, "port taken is taken: choose another with STACK_TEMPORAL_PORT"),
        ({"STACK_OTLP_PORT": "taken"}, "port taken is taken: choose another with STACK_OTLP_PORT"),
        ({"STACK_METRICS_PORT": "taken"}, "port taken is taken: choose another with STACK_METRICS_PORT"),
        ({"API_PORT": "many"}, "API_PORT: "),
        ({"TEMPORAL_ADDRESS": "127.0.0.1:99999"}, "TEMPORAL_ADDRESS: "),
        ({"REVIEW_TIMEOUT": "soon"}, "REVIEW_TIMEOUT: "),
        ({"DATABASE_URL": "postgresql://127.0.0.1:9/orders"}, "DATABASE_URL: PostgreSQL is unavailable"),
        ({"DATABASE_URL": "mysql://127.0.0.1/orders"}, "DATABASE_URL: mysql is not PostgreSQL"),
        ({"TEMPORAL_ADDRESS": "127.0.0.1:9"}, "TEMPORAL_ADDRESS: Temporal is unavailable"),
        ({"TEMPORAL_ADDRESS": "nowhere"}, "TEMPORAL_ADDRESS: "),
    ],
)
def test_what_is_in_the_way_is_one_line_that_names_the_setting(
    tmp_path: Path, settings: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "PATIENCE_WITH_GIVEN", 0.5)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = orders(
            "up",
            "--data-dir",
            str(tmp_path / "data"),
            **{name: value.replace("taken", port) for name, value in settings.items()},
        )
    assert done.returncode == 2
    assert done.stderr.startswith(told.replace("port taken", f"port {port}"))
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert alive(tmp_path / "data") == []


def test_given_servers_are_used_instead_of_embedded_ones(reviewing: Up) -> None:
    placed = reviewing.post(body())
    reviewing.until(placed["id"], "in_review")
    httpx2.post(f"{reviewing.url}/orders/{placed['id']}/review", json={"decision": "approve"}, trust_env=False)
    reviewing.until(placed["id"], "completed")
    assert not (reviewing.folder / "postgres").exists()
    assert "temporal" not in [entry["name"] for entry in json.loads((reviewing.folder / "stack.json").read_text())]


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose name is short enough for a socket in it."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        yield Path(folder)


def test_the_demonstration_delivers_an_order_and_leaves_nothing(short_folder: Path) -> None:
    done = orders_alone("demo", REVIEW_TIMEOUT="1", TMPDIR=str(short_folder))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the order is delivered" in done.stdout
    assert re.search("review_started.*payment_captured.*delivered.*audit trail", done.stdout, re.DOTALL)
    waterfall = done.stdout.partition("where its time went")[2]
    parts = ("POST /orders → 201", "OrderWorkflow", "authorize", "INSERT INTO simulator", "ShippingWorkflow", "█")
    assert [part for part in parts if part not in waterfall] == [], waterfall
    assert GOES_ON not in waterfall
    assert alive(short_folder) == []
    assert list(short_folder.glob("orders-demo-*")) == []


def test_a_folder_too_deep_for_a_socket_is_one_line_that_names_the_option(short_folder: Path) -> None:
    deep = short_folder / ("deep" * 30)
    done = orders_alone(
        "up", "--data-dir", str(deep), TMPDIR=str(short_folder / ("d" * 100)), XDG_RUNTIME_DIR=str(deep)
    )
    assert done.returncode == 2
    assert "choose another, shorter --data-dir" in done.stderr.splitlines()[-1]


def test_a_demonstration_of_an_order_that_is_refused_names_the_field(up: Up) -> None:
    with pytest.raises(ApiError) as refused:
        Demonstration(up.url, as_json=False, stop=asyncio.Event()).run(b"{}")
    assert "#/customer_name" in [error["pointer"] for error in refused.value.problem["errors"]]


def test_a_demonstration_of_an_order_that_is_declined_ends_and_says_so(
    up: Up, capsys: pytest.CaptureFixture[str]
) -> None:
    order = json.dumps(body(payment_method="tok_declined")).encode()
    assert Demonstration(up.url, as_json=True, stop=asyncio.Event()).run(order) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["type"] == "payment_declined"


def test_reset_deletes_the_data_after_asking(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "logs").mkdir(parents=True)
    assert orders_alone("reset", "--data-dir", str(folder), stdin="n\n").returncode == 1
    assert folder.exists()
    assert orders_alone("reset", "--data-dir", str(folder), stdin="y\n").returncode == 0
    assert not folder.exists()


@pytest.mark.parametrize("folder", ["/etc/passwd", "/proc/none"])
def test_a_folder_that_cannot_be_one_is_one_line_that_names_the_option(folder: str) -> None:
    done = orders("up", "--data-dir", folder)
    assert done.returncode == 2
    assert done.stderr.strip().endswith("choose another --data-dir")
    assert len(done.stderr.strip().splitlines()) == 1


def test_reset_does_not_delete_what_is_no_data_of_a_local_system(tmp_path: Path) -> None:
    done = orders("reset", "--data-dir", str(tmp_path), "--yes")
    assert done.returncode == 2
    assert tmp_path.exists()
