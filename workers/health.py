"""Probes of a worker process: whether it lives, and whether it works.

They are answered by threads of their own, so that an event loop that is stuck is seen.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

from orders.errors import DependencyUnavailable, InvalidSetting
from orders.ledger.engine import Database
from orders.readiness import PATIENCE, database_answers, missing, waiting_for
from orders.settings import WorkerSettings
from orders.temporal import unpolled

TURN = 5.0
"""How long, in seconds, an event loop that lives may take to answer: workflows and SQL have threads of their own."""
UNSEEN = 180.0
"""How long, in seconds, Temporal may not have seen a process that asks for tasks: of a queue in several partitions it
tells who asks the first one (``DescribeTaskQueue`` of its matching service), and a request takes a minute."""
FRESH = 2.0
"""For how long, in seconds, what the servers said is not asked again, however often a probe comes."""
MOST_AT_ONCE = 16
"""How many requests are answered at once; whoever comes beyond that is hung up on."""
STOP_WITHIN = 0.1
"""How long, in seconds, it may take to serve no more: the process waits for it when it leaves."""
logger = logging.getLogger(__name__)


class Vitals:
    """What keeps a worker process from taking tasks: noted and asked for in its event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.client: Client | None = None
        self.workers: Sequence[Worker] = ()
        self.is_draining = False
        self._asking = asyncio.Lock()
        self._known: str | None = None
        self._known_until = 0.0
        self._seen_at: float | None = None

    async def trouble(self) -> str | None:
        """Say what it is, as anybody may hear it; None if there is nothing."""
        if self.is_draining:
            return "draining: no new tasks are taken"
        async with self._asking:
            if time.monotonic() > self._known_until:
                self._known = await self._ask()
                self._known_until = time.monotonic() + FRESH
        return self._known

    async def _ask(self) -> str | None:
        if lacking := await missing(self._temporal_sees_it(), database_answers(self._database)):
            return waiting_for(lacking)
        is_working = self.workers and all(worker.is_running for worker in self.workers)
        return None if is_working else "it has not begun to work"

    async def _temporal_sees_it(self) -> None:
        if self.client is None:
            raise DependencyUnavailable("Temporal", "there was no connection yet")
        # That it is running says little of a worker: a request for tasks that fails is made again and again.
        unseen = await unpolled(self.client, [worker.task_queue for worker in self.workers], PATIENCE)
        if not unseen or self._seen_at is None:
            self._seen_at = time.monotonic()
        if unseen and time.monotonic() - self._seen_at >= UNSEEN:
            told = f"Temporal to see it ask for tasks of {' and '.join(unseen)}"
            raise DependencyUnavailable("Temporal", "it sees no requests for tasks", told)


@contextmanager
def probed(settings: WorkerSettings, vitals: Vitals) -> Iterator[None]:
    """Serve ``/healthz`` and ``/readyz`` of the process whose event loop this is, if there is a port for them.

    Raises:
        InvalidSetting: the port is taken, or the address is not one of this machine.
    """
    if settings.health_port is None:
        yield
        return
    try:
        server = _Server(settings.health_host, settings.health_port, asyncio.get_running_loop(), vitals)
    except OSError as error:
        where = f"{settings.health_host}:{settings.health_port} ({error.strerror})"
        advice = "choose another port, 0 takes any, or another WORKER_HEALTH_HOST"
        raise InvalidSetting(f"WORKER_HEALTH_PORT: can't listen on {where}; {advice}") from error
    logger.info("probes are answered on port %s", server.server_address[1])
    threading.Thread(target=server.serve_forever, args=(STOP_WITHIN,), name="probes", daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    def __init__(self, host: str, port: int, loop: asyncio.AbstractEventLoop, vitals: Vitals) -> None:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family, *_, address = found[0]
        self._loop, self._vitals = loop, vitals
        self._places = threading.BoundedSemaphore(MOST_AT_ONCE)
        super().__init__(address, _Handler)  # type: ignore[arg-type]

    def server_bind(self) -> None:
        # That of HTTPServer asks a name server for its own name, which may take long.
        TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Mostly one who asked and did not wait for the answer.
        logger.debug("a probe was not answered", exc_info=True)

    def trouble_of_life(self) -> str | None:
        """Say why the process had better be started anew."""
        turned = threading.Event()
        self._loop.call_soon_threadsafe(turned.set)
        return None if turned.wait(TURN) else f"the event loop has not turned for {TURN:g} s"

    def trouble_of_work(self) -> str | None:
        """Say why the process takes no tasks."""
        asked = asyncio.run_coroutine_threadsafe(self._vitals.trouble(), self._loop)
        try:
            return asked.result(TURN)
        except TimeoutError:
            asked.cancel()
            return f"no answer within {TURN:g} s"
        except Exception:
            logger.exception("whether tasks are taken can't be told")
            return "an unexpected error: the log says more"


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5
    """In seconds, for each part of a request."""
    server_version, sys_version = "orders", ""

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/healthz":
                self._tell("alive", self.server.trouble_of_life())
            case "/readyz":
                self._tell("ready", self.server.trouble_of_work())
            case _:
                self._refuse(HTTPStatus.NOT_FOUND, "there are /healthz and /readyz")

    do_HEAD = do_GET  # noqa: N815 - the name that the library looks for

    def _tell(self, status: str, trouble: str | None) -> None:
        if trouble:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, trouble)
        else:
            self._send(HTTPStatus.OK, "application/json", {"status": status})

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        # As the API has it (RFC 9457); without a type it is what its status says.
        self._send(status, "application/problem+json", {"title": status.phrase, "status": status, "detail": detail})

    def _send(self, status: HTTPStatus, media_type: str, body: Mapping[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Not at all: probes come every few seconds."""
