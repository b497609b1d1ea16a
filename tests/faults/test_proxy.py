"""The proxy: what it cuts is reset, what it stalls comes later, and what it slows comes late."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.faults.proxy import Proxy


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """One before a server that says what it hears."""

    class Echo(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(ConnectionError):
                while some := self.request.recv(1000):
                    self.request.sendall(some)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        found = Proxy(server.server_address[1])
        yield found
        found.stop()
        server.shutdown()


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=2) as found:
        assert echoed(found) == b"hello"
        yield found


def echoed(client: socket.socket) -> bytes:
    client.sendall(b"hello")
    return client.recv(1000)


def test_a_connection_that_is_cut_is_reset_and_so_is_each_new_one(proxy: Proxy, client: socket.socket) -> None:
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        client.recv(1000)
    with pytest.raises(ConnectionError):
        echoed(socket.create_connection(("127.0.0.1", proxy.port), timeout=2))
    proxy.heal()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=2) as healed:
        assert echoed(healed) == b"hello"


def test_what_is_stalled_comes_once_it_is_healed(proxy: Proxy, client: socket.socket) -> None:
    proxy.stall()
    client.sendall(b"later")
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(1000)
    proxy.heal()
    client.settimeout(2)
    assert client.recv(1000) == b"later"


def test_what_is_slowed_comes_late(proxy: Proxy, client: socket.socket) -> None:
    proxy.slow(0.1)
    began = time.monotonic()
    assert echoed(client) == b"hello"
    # There and back.
    assert time.monotonic() - began >= 0.2
