"""A TCP proxy on the loopback that can be told to cut, to stall and to slow what it passes on (decision 17)."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable

RESET = struct.pack("ii", 1, 0)
"""Lingers for no time: a connection is reset when it is closed, as by a machine that has died (socket(7))."""


class Proxy:
    """Stands before a server of this machine, in a thread of its own; clients use ``port``."""

    def __init__(self, server: int) -> None:
        self._server = server
        self._loop = asyncio.new_event_loop()
        self._writers: set[StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._moves = asyncio.Event()
        self._moves.set()
        self._is_cut, self._delay = False, 0.0
        listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = listener.getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy of {server}", daemon=True)
        self._thread.start()
        listening = asyncio.start_server(self._serve, sock=listener)
        self._listening = asyncio.run_coroutine_threadsafe(listening, self._loop).result(5)

    def cut(self) -> None:
        """Reset every connection, and each new one, until healed."""

        def reset_all() -> None:
            self._is_cut = True
            for writer in self._writers:
                _reset(writer)

        self._do(reset_all)

    def stall(self) -> None:
        """Let nothing through in either direction until healed; connections stay open."""
        self._do(self._moves.clear)

    def slow(self, delay: float) -> None:
        """Let each piece of data wait so many seconds, until healed."""

        def wait() -> None:
            self._delay = delay

        self._do(wait)

    def heal(self) -> None:
        """Pass everything on as it comes."""

        def pass_on() -> None:
            self._is_cut, self._delay = False, 0.0
            self._moves.set()

        self._do(pass_on)

    def stop(self) -> None:
        """Cut everything, and listen no more."""

        async def end() -> None:
            self._listening.close()
            for writer in self._writers:
                _reset(writer)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _do(self, change: Callable[[], None]) -> None:
        done = threading.Event()

        def run() -> None:
            change()
            done.set()

        self._loop.call_soon_threadsafe(run)
        done.wait(5)

    async def _serve(self, here: StreamReader, back: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self._writers.add(back)
        try:
            if self._is_cut:
                return
            there, forth = await asyncio.open_connection("127.0.0.1", self._server)
            self._writers.add(forth)
            try:
                await asyncio.gather(self._pour(here, forth), self._pour(there, back))
            finally:
                self._writers.discard(forth)
                _reset(forth)
        except (OSError, asyncio.CancelledError):
            # Whichever side is gone, the other one sees it.
            pass
        finally:
            self._writers.discard(back)
            self._tasks.discard(task)
            _reset(back)

    async def _pour(self, source: StreamReader, sink: StreamWriter) -> None:
        while some := await source.read(65536):
            if self._delay:
                await asyncio.sleep(self._delay)
            await self._moves.wait()
            sink.write(some)
            await sink.drain()
        # What the other side still has to say is passed on.
        if sink.can_write_eof():
            sink.write_eof()


def _reset(writer: StreamWriter) -> None:
    peer: socket.socket | None = writer.get_extra_info("socket")
    if peer and peer.fileno() >= 0 and not writer.transport.is_closing():
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
