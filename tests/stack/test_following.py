"""An API that is told to leave while somebody follows an order, or takes their time."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.embedded import free_port
from orders.contracts import RecordEvents
from orders.ledger.writer import Ledger
from orders.model import Origin
from orders.order import receive
from tests.examples import DETAILS, new_id
from tests.stack.conftest import ROOT
from tests.stack.test_workers import wait_for


@pytest.fixture
def api(database_url: str, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """An API in a process of its own, and its port."""
    port, log = free_port(), tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "api"],
            cwd=ROOT,
            env={**os.environ, "API_PORT": str(port), "DATABASE_URL": database_url},
            stdout=output,
            stderr=output,
            text=True,
        )
    wait_for("Uvicorn running", log, process)
    yield process, port
    process.kill()
    process.wait()


def follow(port: int, order_id: str, query: str, accept: str) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    client.sendall(f"GET /orders/{order_id}/events{query} HTTP/1.1\r\nHost: api\r\nAccept: {accept}\r\n\r\n".encode())
    return client


def rest_of(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(65536), b""))


def test_an_api_that_leaves_ends_what_it_was_telling_and_leaves_with_0(
    api: tuple[subprocess.Popen[str], int], ledger: Ledger
) -> None:
    process, port = api
    order, event = receive(new_id(), DETAILS, datetime.now(UTC), Origin("ann"))
    ledger.record(RecordEvents(order, [event], "run-1", 3))
    with (
        follow(port, order.id, "?after=1&wait=25", "application/json") as polling,
        follow(port, order.id, "", "text/event-stream") as streaming,
    ):
        streamed = b""
        while b"id: 1\n" not in streamed:
            streamed += streaming.recv(65536)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert rest_of(polling).endswith(b'{"data":[],"next":"1"}')
        assert rest_of(streaming).endswith(b"\r\n0\r\n\r\n")
    assert process.wait(20) == 0
    assert time.monotonic() - began < 8


def test_an_api_that_is_told_twice_leaves_at_once(api: tuple[subprocess.Popen[str], int], tmp_path: Path) -> None:
    process, port = api
    with socket.create_connection(("127.0.0.1", port), timeout=20) as slow:
        asked = "POST /orders HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
        slow.sendall(f"{asked}Expect: 100-continue\r\n\r\n".encode())
        # The answer waits for the body.
        assert slow.recv(100).startswith(b"HTTP/1.1 100 ")
        process.send_signal(signal.SIGTERM)
        wait_for("Waiting for connections to close", tmp_path / "log", process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 1
    assert "told twice: leaving at once" in (tmp_path / "log").read_text()
