"""A pooler of transactions, as RDS Proxy and PgBouncer are: each on another of the server's connections.

It knows as much of the protocol as that takes (PostgreSQL manual, "Message Formats").
"""

from __future__ import annotations

import select
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TAKEN = frozenset({b"user", b"database", b"application_name", b"client_encoding"})
"""What a client may say of its session at the start; such poolers refuse the rest, PgBouncer in these words."""


@contextmanager
def pooler(reach: Callable[[], socket.socket]) -> Iterator[int]:
    """Listen on the loopback; gives the port. Each client is lent two connections in turn."""

    class Pooler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            # Its many small messages would each wait for the last one to be acknowledged.
            self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            start = _start(self.request)
            names = start[8:].rstrip(b"\0").split(b"\0")[::2]
            if refused := [name for name in names if name not in TAKEN]:
                said = b"SFATAL\0C08P01\0Munsupported startup parameter: " + refused[0] + b"\0\0"
                self.request.sendall(b"E" + struct.pack("!i", len(said) + 4) + said)
                return
            with reach() as one, reach() as other:
                for server in (other, one):
                    server.sendall(start)
                    said = _until_ready(server)
                self.request.sendall(said)
                _lend(self.request, [one, other])

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Pooler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def _lend(client: socket.socket, servers: list[socket.socket]) -> None:
    awaited, is_idle = 0, True
    while True:
        if client in select.select([client, servers[0]], [], [])[0]:
            message = _message(client)
            if not message or message[:1] == b"X":
                return
            if is_idle:
                servers.reverse()
                is_idle = False
            servers[0].sendall(message)
            awaited += message[:1] in (b"Q", b"S")
        else:
            message = _message(servers[0])
            if not message:
                return
            client.sendall(message)
            if message[:1] == b"Z":
                awaited -= 1
                is_idle = not awaited and message[5:] == b"I"


def _start(client: socket.socket) -> bytes:
    length = client.recv(4, socket.MSG_WAITALL)
    return length + client.recv(struct.unpack("!i", length)[0] - 4, socket.MSG_WAITALL)


def _message(sender: socket.socket) -> bytes:
    head = sender.recv(5, socket.MSG_WAITALL)
    if len(head) < 5:
        return b""
    length = struct.unpack("!i", head[1:])[0] - 4
    return head + (sender.recv(length, socket.MSG_WAITALL) if length else b"")


def _until_ready(server: socket.socket) -> bytes:
    said = b""
    while message := _message(server):
        said += message
        if message[:1] == b"Z":
            break
    return said
