"""A connection's way to a server, which can be cut, or lead nowhere, as happens while a process is frozen."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress


class Relay:
    """Listens on the loopback, and hands on what comes to a server, until it is told otherwise."""

    def __init__(self, reach: Callable[[], socket.socket]) -> None:
        self._reach = reach
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lost: set[socket.socket] = set()
        self._flows = threading.Event()
        self._flows.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._run(self._accept)

    def cut(self) -> None:
        """End every connection that there is; new ones are taken."""
        for pair in self._forget():
            for end in pair:
                _close(end)

    def lose(self) -> None:
        """Let every connection that there is lead nowhere, without a word to anybody; new ones are taken."""
        for pair in self._forget():
            self._lost.update(pair)

    def hold(self) -> None:
        """Hand on nothing from now on, not on new connections either."""
        self._flows.clear()

    def go_on(self) -> None:
        """Hand on what was held, and what comes."""
        self._flows.set()

    def close(self) -> None:
        """End all of it."""
        self.go_on()
        _close(self._listener)
        self.cut()
        for end in self._lost:
            _close(end)

    def _forget(self) -> list[tuple[socket.socket, socket.socket]]:
        pairs, self._pairs = self._pairs, []
        return pairs

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                there = self._reach()
                for end in (here, there):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._pairs.append((here, there))
                self._run(self._pour, here, there)
                self._run(self._pour, there, here)

    def _pour(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while some := source.recv(65536):
                self._flows.wait()
                if source not in self._lost:
                    target.sendall(some)
        if source not in self._lost:
            _close(target)

    @staticmethod
    def _run(work: Callable[..., None], *given: object) -> None:
        threading.Thread(target=work, args=given, daemon=True).start()


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
