"""Servers that speak TLS: a front before the real ones, which speak none, and certificates of a moment."""

from __future__ import annotations

import select
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""What a client of PostgreSQL that wants TLS says first (PostgreSQL manual, "Message Formats")."""


class Certificates:
    """An authority, and what it has signed for a client, as files in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._authority = trustme.CA(organization_name=name)
        self.ca, self.cert, self.key = (folder / f"{name}.{what}.pem" for what in ("ca", "cert", "key"))
        self._authority.cert_pem.write_to_path(str(self.ca))
        client = self._authority.issue_cert(common_name="client")
        client.cert_chain_pems[0].write_to_path(str(self.cert))
        client.private_key_pem.write_to_path(str(self.key))

    def server(self, name: str, *, wants_certificates: bool = False, expired: bool = False) -> ssl.SSLContext:
        """A server of this name, which may want certificates of the same authority from its clients."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        # What gRPC speaks; PostgreSQL's clients don't ask.
        context.set_alpn_protocols(["h2"])
        over = datetime.now(UTC) - timedelta(minutes=1) if expired else None
        self._authority.issue_cert(name, not_after=over).configure_cert(context)
        if wants_certificates:
            context.verify_mode = ssl.CERT_REQUIRED
            self._authority.configure_trust(context)
        return context


@contextmanager
def front(reach: Callable[[], socket.socket], context: ssl.SSLContext | None, *, asked: bool = False) -> Iterator[int]:
    """Listen on the loopback, and hand on what comes, decrypted; gives the port.

    ``asked``: the client asks for TLS first, as PostgreSQL's do. Without a context all is handed on as it comes.
    """

    class Front(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            here = self.request
            if context:
                if asked:
                    if here.recv(len(SSL_REQUEST), socket.MSG_WAITALL) != SSL_REQUEST:
                        return
                    here.sendall(b"S")
                here = context.wrap_socket(here, server_side=True, do_handshake_on_connect=False)
            with here, reach() as there:
                try:
                    if context:
                        here.do_handshake()
                    _pour(here, there)
                except OSError:
                    _take_leave(here)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Front) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def _pour(here: socket.socket, there: socket.socket) -> None:
    other = {here: there, there: here}
    while True:
        # What is decrypted already makes no socket ready.
        has_more = isinstance(here, ssl.SSLSocket) and here.pending()
        for ready in [here] if has_more else select.select([here, there], [], [])[0]:
            some = ready.recv(65536)
            if not some:
                return
            other[ready].sendall(some)


def _take_leave(here: socket.socket) -> None:
    # Closed with something unread, the connection would be reset, and why TLS failed be lost on the way.
    try:
        here.shutdown(socket.SHUT_WR)
        while here.recv(65536):
            pass
    except OSError:
        pass
