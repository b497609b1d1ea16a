"""What comes over a connection to ``python -m api`` that no client of HTTP would send."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx2
import pytest

from cli.embedded import free_port

pytestmark = pytest.mark.container_only("a gateway reads what comes over connections, and hands on requests")
ROOT = Path(__file__).parent.parent.parent
TIME = 0.5
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: api\r\n\r\n"
POST = b"POST /orders HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
Port = int


@pytest.fixture(scope="module")
def port() -> Iterator[Port]:
    """An API without servers behind it, which gives each request half a second."""
    port = free_port()
    nowhere = {"DATABASE_URL": "postgresql://127.0.0.1:9/orders", "TEMPORAL_ADDRESS": "127.0.0.1:9"}
    own = {"API_PORT": str(port), "API_TIMEOUT": str(TIME), "OTEL_SDK_DISABLED": "true", **nowhere}
    process = subprocess.Popen(
        [sys.executable, "-m", "api"],
        cwd=ROOT,
        env={**os.environ, **own},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(400):
        with suppress(OSError):
            connected(port).close()
            break
        time.sleep(0.05)
    yield port
    process.kill()
    process.wait()


def connected(port: Port, sent: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(sent)
    return connection


def answers(port: Port, sent: bytes) -> list[int]:
    """The statuses of all answers to what is sent, until the connection ends or nothing comes any more."""
    received = b""
    with connected(port, sent) as connection, suppress(ConnectionResetError, TimeoutError):
        connection.settimeout(4 * TIME)
        while part := connection.recv(65536):
            received += part
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


def dripped(port: Port, first: bytes, drop: bytes) -> float:
    """How many seconds a connection lasts on which, after this, so much comes every 50 ms; 5 at most."""
    began = time.monotonic()
    with connected(port, first) as connection, suppress(OSError):
        connection.settimeout(0.05)
        while time.monotonic() - began < 5:
            connection.sendall(drop)
            with suppress(TimeoutError):
                if connection.recv(65536) == b"":
                    break
    return time.monotonic() - began


SLOW = {
    "nothing": (b"", b""),
    "headers": (b"GET /healthz HTTP/1.1\r\nX-Long: ", b"a"),
    "headers after an answer": (HEALTH + b"GET /healthz", b"a"),
    "a body": (POST + b"Content-Length: 9999\r\n\r\n", b" "),
    "a body in chunks": (POST + CHUNKED + b"\r\n", b"1\r\n \r\n"),
    "a body that was refused already": (POST + b"Content-Length: 99999999\r\n\r\n", b" "),
}


def test_who_sends_too_slowly_is_given_up(port: Port) -> None:
    with ThreadPoolExecutor(len(SLOW)) as pool:
        lasted = dict(zip(SLOW, pool.map(lambda each: dripped(port, *each), SLOW.values()), strict=True))
    # For the request, and then for what is left of it.
    assert {name: seconds for name, seconds in lasted.items() if not TIME - 0.1 < seconds < 2 * TIME + 1.5} == {}


def test_three_hundred_who_send_nothing_more_keep_nobody_else_from_being_served(port: Port) -> None:
    beginnings = [first for name, (first, _) in SLOW.items() if name != "headers after an answer"]
    with ExitStack() as open_ones:
        for number in range(300):
            open_ones.enter_context(connected(port, beginnings[number % len(beginnings)]))
        for _ in range(10):
            began = time.monotonic()
            assert httpx2.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
            assert time.monotonic() - began < 2


def test_who_does_not_read_is_given_up(port: Port) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", port))
        connection.settimeout(0.2)
        asked = b"GET /openapi.json HTTP/1.1\r\nHost: api\r\n\r\n" * 50
        began = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() - began < 5:
                with suppress(TimeoutError):
                    connection.sendall(asked)
    assert TIME - 0.1 < time.monotonic() - began < 5


ENDS = b"Connection: close\r\n"
SMUGGLED = b"0\r\n\r\n" + HEALTH
LIES = {
    "two lengths": (POST + b"Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}", [400]),
    "a length and chunks": (POST + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n" + SMUGGLED, [400]),
    "chunks and a length": (POST + CHUNKED + b"Content-Length: 5\r\n\r\n" + SMUGGLED, [400]),
    "an unknown coding": (POST + b"Transfer-Encoding: xchunked\r\n\r\n" + SMUGGLED, [400]),
    "two codings": (POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + SMUGGLED, [400]),
    "a blank in the name": (POST + b"Transfer-Encoding : chunked\r\n\r\n" + SMUGGLED, [400]),
    "chunks in HTTP/1.0": (POST.replace(b"/1.1", b"/1.0") + CHUNKED + b"\r\n2\r\n{}\r\n" + SMUGGLED, [422]),
    "a length with a sign": (POST + b"Content-Length: +2\r\n\r\n{}", [400]),
    "a length below nothing": (POST + b"Content-Length: -2\r\n\r\n{}", [400]),
    "a length of thousands of digits": (POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{}", [400]),
    "a length that is too long": (POST + b"Content-Length: 50\r\n\r\n{}", [504]),
    "a length that is too short": (POST + ENDS + b"Content-Length: 1\r\n\r\n{}" + HEALTH, [400]),
    "more than is taken": (POST + b"Content-Length: 400000\r\n\r\n" + b" " * 300_000, [413]),
    "more chunks than are taken": (POST + CHUNKED + b"\r\n60000\r\n" + b" " * 300_000, [413]),
    "a chunk of any size": (POST + CHUNKED + b"\r\n" + b"F" * 20 + b"\r\n{}\r\n0\r\n\r\n", [504]),
    "the end of a line in a value": (HEALTH[:-2] + b"X-Key: a\rSet-Cookie: b\r\n\r\n", [400]),
    "NUL in a value": (HEALTH[:-2] + b"X-Key: a\x00b\r\n\r\n", [400]),
    "an escape in the method": (b"GE\x1b[2JT /healthz HTTP/1.1\r\nHost: api\r\n\r\n", [400]),
    "bytes in the path": (b"GET /orders/\xff\xfe HTTP/1.1\r\nHost: api\r\n\r\n", [400]),
    "ends of lines in the path": (
        b"GET /orders/%0d%0aSet-Cookie:%20a HTTP/1.1\r\nHost: api\r\n" + ENDS + b"\r\n",
        [404],
    ),
    "a path without end": (b"GET /" + b"a" * 30_000, [400]),
    "a query without end": (b"GET /orders?cursor=" + b"a" * 30_000, [400]),
    "headers without end": (HEALTH[:-2] + b"X-Long: " + b"a" * 30_000, [400]),
    "many headers": (HEALTH[:-2] + ENDS + b"a: b\r\n" * 3000 + b"\r\n", [431]),
    "no host": (b"GET /healthz HTTP/1.1\r\n\r\n", [400]),
    "two hosts": (b"GET /healthz HTTP/1.1\r\nHost: api\r\nHost: evil\r\n\r\n", [400]),
    "an address of somebody else": (b"GET http://evil/healthz HTTP/1.1\r\nHost: api\r\n" + ENDS + b"\r\n", [404]),
    "a tunnel": (b"CONNECT evil:443 HTTP/1.1\r\nHost: evil:443\r\n" + ENDS + b"\r\n", [404]),
    "another method in a header": (HEALTH[:-2] + ENDS + b"X-HTTP-Method-Override: DELETE\r\n\r\n", [200]),
    "another protocol": (HEALTH[:-2] + b"Connection: upgrade, close\r\nUpgrade: websocket\r\n\r\n", [200]),
    "HTTP/1.0": (b"GET /healthz HTTP/1.0\r\n\r\n", [200]),
    "HTTP/0.9": (b"GET /healthz\r\n\r\n", [400]),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [404, 400]),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [400]),
    "three at once": (HEALTH * 2 + HEALTH[:-2] + ENDS + b"\r\n", [200, 200, 200]),
}


def test_what_is_no_proper_request_is_refused_and_hides_no_other(port: Port) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = dict(zip(LIES, pool.map(lambda each: answers(port, each[0]), LIES.values()), strict=True))
    assert found == {name: expected for name, (_, expected) in LIES.items()}
    assert httpx2.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
