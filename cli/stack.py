"""The local stack: a real PostgreSQL, a real Temporal, the API and one worker process a queue."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import IO
from urllib.parse import unquote

import httpx2
import psutil
from sqlalchemy import make_url
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from cli.embedded import EmbeddedPostgres, free_port, is_free, start_temporal
from orders.contracts import ORDERS_QUEUE, PAYMENTS_QUEUE, SHIPPING_QUEUE
from orders.errors import DependencyUnavailable
from orders.ledger.engine import Database
from orders.settings import CONCERNS, ApiSettings, DatabaseSettings, StackSettings, TemporalSettings, load
from orders.temporal import connect, ping

QUEUES = {
    ORDERS_QUEUE: TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    PAYMENTS_QUEUE: TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    SHIPPING_QUEUE: TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
}
PATIENCE = 60.0
"""How long, in seconds, the stack may take to answer before it gives up."""
DRAIN = 6.0
"""How long, in seconds, the processes may take to stop before they are killed."""

Say = Callable[[str], None]


class StackError(Exception):
    """The stack can't start; the text is one line that says what to do."""


@dataclass
class Process:
    """A child process and how to start it again."""

    name: str
    start: Callable[[], subprocess.Popen[bytes]]
    popen: subprocess.Popen[bytes]
    deaths: int = 0
    again_at: float = 0.0


@dataclass
class Stack:
    """Starts, watches and stops everything.

    Servers named by ``DATABASE_URL`` and ``TEMPORAL_ADDRESS`` are used instead of embedded ones.
    """

    folder: Path
    say: Say
    api_port: int | None = None
    keep: bool = True
    any_port: bool = False
    extra: Mapping[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(init=False)
    database_url: str = ""
    temporal_ui: str | None = None
    api_url: str = ""
    _processes: list[Process] = field(default_factory=list)
    _postgres: EmbeddedPostgres | None = None
    _lock: IO[str] | None = None

    async def start(self) -> None:
        """Bring everything up; returns when the API and all queues answer.

        Raises:
            StackError: something is in the way; the message says which setting to change.
            InvalidSetting: an environment variable has a value that can't be used.
        """
        self.environment = {**os.environ, **self.extra, "PYTHONUNBUFFERED": "1"}
        self.environment.setdefault("WORKER_GRACEFUL_SHUTDOWN", "4")
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        self.take_over()
        for concern in CONCERNS:
            load(concern)
        api, stack = load(ApiSettings), load(StackSettings)
        port = self._port(self.api_port if self.api_port is not None else api.port, "--api-port or API_PORT", api.host)
        self.api_url = f"http://{api.host}:{port}"
        self.environment["API_PORT"] = str(port)
        both = (self._start_temporal(stack), self._start_database())
        # Whichever fails, the other must have come so far that it can be stopped.
        for outcome in await asyncio.gather(*both, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
        await asyncio.to_thread(self._migrate)
        self._spawn("api", [sys.executable, "-m", "api"])
        for queue in QUEUES:
            self._spawn(f"worker-{queue}", [sys.executable, "-m", "workers", queue])
        await self._until_all_answer()

    async def watch(self, stop: asyncio.Event) -> None:
        """Start again whatever dies, until told to stop."""
        while not stop.is_set():
            for process in self._processes:
                self._revive(process)
            try:
                await asyncio.wait_for(stop.wait(), 0.3)
            except TimeoutError:
                continue

    def stop(self) -> None:
        """Stop everything, the API and the workers first; what does not stop in time is killed."""
        servers = [process for process in self._processes if process.name == "temporal"]
        workers = [process for process in self._processes if process.name != "temporal"]
        for group in (workers, servers):
            for process in group:
                if process.popen.poll() is None:
                    process.popen.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + DRAIN
            for process in group:
                try:
                    process.popen.wait(max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    self.say(f"{process.name} did not stop in {DRAIN:.0f} s: killed")
                    process.popen.kill()
                    process.popen.wait()
        if self._postgres:
            self._postgres.stop()
        if self._lock:
            (self.folder / "stack.json").unlink(missing_ok=True)
            self._lock.close()

    @property
    def database_url_for_people(self) -> str:
        """The database's URL, without a password."""
        return unquote(make_url(self.database_url).render_as_string(hide_password=True))

    # The pieces

    def take_over(self) -> None:
        """Make sure that nobody else uses the folder, and end what an earlier run has left there.

        Raises:
            StackError: another stack is running in it.
        """
        lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise StackError(f"another `orders up` uses {self.folder}: stop it, or choose another --data-dir") from None
        self._lock = lock
        record = self.folder / "stack.json"
        left = json.loads(record.read_text()) if record.exists() else []
        stopped = [entry["name"] for entry in left if _end(entry["pid"], entry["started"])]
        if stopped:
            self.say(f"an earlier run had not stopped: ended its {', '.join(stopped)}")

    def _port(self, wanted: int, setting: str, host: str = "127.0.0.1") -> int:
        if wanted == 0 or self.any_port:
            return free_port()
        if not is_free(wanted, host):
            raise StackError(f"port {wanted} is taken: choose another with {setting} (0 takes any)")
        return wanted

    async def _start_temporal(self, settings: StackSettings) -> None:
        if "TEMPORAL_ADDRESS" in os.environ:
            await self._reach_temporal("TEMPORAL_ADDRESS", patience=5)
            return
        port = self._port(settings.temporal_port, "STACK_TEMPORAL_PORT")
        ui_port = self._port(settings.temporal_ui_port, "STACK_TEMPORAL_UI_PORT")
        log = (self.folder / "logs" / "temporal.log").open("ab")
        state = self.folder / "temporal.db" if self.keep else None
        namespace = self.environment.get("TEMPORAL_NAMESPACE") or "default"

        def start() -> subprocess.Popen[bytes]:
            return start_temporal(port=port, ui_port=ui_port, log=log, state=state, namespaces=(namespace,))

        self._add("temporal", start)
        self.environment["TEMPORAL_ADDRESS"] = f"127.0.0.1:{port}"
        self.temporal_ui = f"http://127.0.0.1:{ui_port}"
        await self._reach_temporal("STACK_TEMPORAL_PORT", patience=PATIENCE)

    async def _reach_temporal(self, setting: str, patience: float) -> None:
        settings = load(TemporalSettings, TEMPORAL_ADDRESS=self.environment["TEMPORAL_ADDRESS"])

        async def answers() -> None:
            self._client = await connect(settings)
            await ping(self._client, timedelta(seconds=2))

        await _within(patience, answers, setting)

    async def _start_database(self) -> None:
        if "DATABASE_URL" in os.environ:
            self.database_url = os.environ["DATABASE_URL"]
        else:
            starting = asyncio.create_task(asyncio.to_thread(EmbeddedPostgres, self.folder / "postgres"))
            try:
                self._postgres = await asyncio.shield(starting)
            except asyncio.CancelledError:
                # Nothing stops it on its way up, so that it can be stopped in order it has to arrive there.
                self._postgres = await starting
                raise
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                # Most often its path is too long for a socket: 107 bytes on Linux, 103 on macOS.
                reason = f"PostgreSQL can't start in {self.folder}: {error}"
                raise StackError(f"{reason}; choose another, shorter --data-dir") from error
            self.database_url = self.environment["DATABASE_URL"] = self._postgres.create("orders")
        database = Database(load(DatabaseSettings, DATABASE_URL=self.database_url))

        async def answers() -> None:
            await asyncio.to_thread(database.ping)

        try:
            await _within(5, answers, "DATABASE_URL")
        finally:
            database.close()

    def _migrate(self) -> None:
        log = self.folder / "logs" / "migrations.log"
        with log.open("ab") as output:
            code = subprocess.call(
                [sys.executable, "-m", "migrations"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        if code:
            raise StackError(f"the migration failed, see {log}: {_last_line(log)}")

    def _spawn(self, name: str, command: list[str]) -> None:
        log = (self.folder / "logs" / f"{name}.log").open("ab")

        def start() -> subprocess.Popen[bytes]:
            # A session of its own: Ctrl-C in the terminal reaches the stack alone, which stops all in order.
            return subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

        self._add(name, start)

    def _add(self, name: str, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self._processes.append(Process(name, start, start()))
        self._note()

    def _note(self) -> None:
        entries = []
        for process in self._processes:
            try:
                started = psutil.Process(process.popen.pid).create_time()
            except psutil.NoSuchProcess:
                continue
            entries.append({"name": process.name, "pid": process.popen.pid, "started": started})
        (self.folder / "stack.json").write_text(json.dumps(entries))

    def _revive(self, process: Process) -> None:
        code = process.popen.poll()
        if code is None:
            return
        now = time.monotonic()
        if not process.again_at:
            process.deaths += 1
            wait = min(0.5 * 2**process.deaths, 15.0)
            process.again_at = now + wait
            ended = f"was ended by signal {-code}" if code < 0 else f"left with {code}"
            log = self.folder / "logs" / f"{process.name}.log"
            self.say(f"{process.name} {ended}: starting it again in {wait:.0f} s (see {log})")
        elif now >= process.again_at:
            process.popen = process.start()
            process.again_at = 0.0
            self._note()

    async def _until_all_answer(self) -> None:
        deadline = time.monotonic() + PATIENCE
        async with httpx2.AsyncClient(trust_env=False) as http:
            while not await self._all_answer(http):
                for process in self._processes:
                    if process.popen.poll() is not None:
                        log = self.folder / "logs" / f"{process.name}.log"
                        raise StackError(f"{process.name} did not start, see {log}: {_last_line(log)}")
                if time.monotonic() > deadline:
                    raise StackError(f"not everything answers after {PATIENCE:.0f} s, see {self.folder / 'logs'}")
                await asyncio.sleep(0.1)

    async def _all_answer(self, http: httpx2.AsyncClient) -> bool:
        try:
            if (await http.get(f"{self.api_url}/readyz")).is_error:
                return False
            return all([await _is_polled(self._client, queue, kind) for queue, kind in QUEUES.items()])
        except (httpx2.RequestError, RPCError):
            return False


async def _is_polled(client: Client, queue: str, kind: TaskQueueType.ValueType) -> bool:
    request = DescribeTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
    )
    return bool((await client.workflow_service.describe_task_queue(request)).pollers)


async def _within(patience: float, answers: Callable[[], Awaitable[None]], setting: str) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            await answers()
        except DependencyUnavailable as error:
            if time.monotonic() > deadline:
                raise StackError(f"{setting}: {error}") from error
        else:
            return
        await asyncio.sleep(0.1)


def _end(pid: int, started: float) -> bool:
    """End a process that an earlier run left, unless its id now belongs to another."""
    try:
        process = psutil.Process(pid)
        if abs(process.create_time() - started) > 1:
            return False
        process.terminate()
        try:
            process.wait(DRAIN)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(DRAIN)
    except psutil.NoSuchProcess:
        return False
    return True


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
