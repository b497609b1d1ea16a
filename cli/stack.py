"""The local stack: a real PostgreSQL, a real Temporal, the API and one worker process a queue."""

from __future__ import annotations

import asyncio
import fcntl
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
from sqlalchemy import make_url
from temporalio.client import Client

from cli.embedded import EmbeddedPostgres, free_port, is_free, temporal_command
from cli.errors import StackError
from cli.processes import SERVERS, Processes, Say
from orders.contracts import TASKS
from orders.errors import DependencyUnavailable
from orders.ledger.engine import Database, pg8000_url
from orders.settings import (
    CONCERNS,
    ApiSettings,
    DatabaseSettings,
    StackSettings,
    TelemetrySettings,
    TemporalSettings,
    load,
)
from orders.temporal import connect, ping, queue_stats

PATIENCE = 60.0
"""How long, in seconds, the stack may take to answer before it gives up."""

PATIENCE_WITH_GIVEN = 5.0
"""How long, in seconds, servers that others have started may take to answer."""

METRICS_PORT = "OTEL_EXPORTER_PROMETHEUS_PORT"


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
    api_url: str = ""
    traces_url: str | None = None
    temporal_ui: str | None = None
    _metrics_ports: dict[str, str] = field(default_factory=dict)
    _processes: Processes = field(init=False)
    _client: Client = field(init=False)
    _postgres: EmbeddedPostgres | None = None
    _lock: IO[str] | None = None

    def __post_init__(self) -> None:
        logs = self.folder / "logs"
        self._processes = Processes(self.folder / "stack.json", logs, self.say)
        # An empty variable means its default, as everywhere.
        self.environment = {name: value for name, value in os.environ.items() if value} | {
            "WORKER_GRACEFUL_SHUTDOWN": os.environ.get("WORKER_GRACEFUL_SHUTDOWN") or "2",
            "LOG_FORMAT": os.environ.get("LOG_FORMAT") or "text",
            "PYTHONUNBUFFERED": "1",
            **self.extra,
        }

    async def start(self) -> None:
        """Bring everything up; returns when the API and all queues answer.

        Raises:
            StackError: something is in the way; the message says which setting to change.
            InvalidSetting: an environment variable has a value that can't be used.
        """
        for concern in CONCERNS:
            load(concern)
        pg8000_url(load(DatabaseSettings).url.get_secret_value())
        self.take_over()
        api, stack = load(ApiSettings), load(StackSettings)
        port = self._port(self.api_port if self.api_port is not None else api.port, "--api-port or API_PORT", api.host)
        self.api_url = f"http://{f'[{api.host}]' if ':' in api.host else api.host}:{port}"
        self.environment["API_PORT"] = str(port)
        self._keep_spans(stack)
        self._serve_metrics(stack)
        both = (self._start_temporal(stack), self._start_database())
        # Whichever fails, the other must have come so far that it can be stopped.
        for outcome in await asyncio.gather(*both, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
        await self._migrate()
        self._spawn("api", "-m", "api")
        for queue in TASKS:
            self._spawn(f"worker-{queue}", "-m", "workers", queue)
        await self._until_all_answer()

    async def watch(self, stop: asyncio.Event) -> None:
        """Start again whatever dies, until told to stop."""
        while not stop.is_set():
            self._processes.revive()
            if self._postgres and not self._postgres.is_running:
                self.say("PostgreSQL has died: starting it again")
                await asyncio.to_thread(self._postgres.start)
            try:
                await asyncio.wait_for(stop.wait(), 0.3)
            except TimeoutError:
                continue

    def stop(self) -> None:
        """Stop everything: what uses a server before the server."""
        self._processes.stop(*(process.name for process in self._processes.running if process.name not in SERVERS))
        if not self.keep:
            # It has nothing to keep, and would take seconds to take its leave.
            self._processes.stop("temporal", by=signal.SIGKILL)
        self._processes.stop(*SERVERS)
        if self._postgres:
            self._postgres.stop()
        if self._lock:
            self._processes.record.unlink(missing_ok=True)
            self._lock.close()

    def take_over(self) -> None:
        """Make sure that nobody else uses the folder, and end what an earlier run has left there.

        Raises:
            StackError: another stack is running in it, or it can't be written to.
        """
        try:
            self._processes.logs.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / "lock").open("w")
        except OSError as error:
            raise StackError(f"{self.folder}: {error.strerror}; choose another --data-dir") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise StackError(f"another `orders up` uses {self.folder}: stop it, or choose another --data-dir") from None
        self._lock = lock
        self._processes.end_those_of_an_earlier_run()

    @property
    def metrics_urls(self) -> dict[str, str]:
        """Where each process serves its metrics, if they do."""
        return {name: f"http://localhost:{port}/metrics" for name, port in self._metrics_ports.items()}

    @property
    def database_url_for_people(self) -> str:
        """The database's URL, without a password."""
        return unquote(make_url(self.environment["DATABASE_URL"]).render_as_string(hide_password=True))

    # The pieces

    def _port(self, wanted: int, setting: str, host: str = "127.0.0.1") -> int:
        if wanted == 0 or self.any_port:
            return free_port()
        if not is_free(wanted, host):
            raise StackError(f"port {wanted} is taken: choose another with {setting} (0 takes any)")
        return wanted

    def _spawn(self, name: str, *arguments: str) -> None:
        port = {METRICS_PORT: self._metrics_ports[name]} if name in self._metrics_ports else {}
        self._processes.spawn(name, [sys.executable, *arguments], self.environment | port)

    def _keep_spans(self, settings: StackSettings) -> None:
        telemetry = load(TelemetrySettings, **self.extra)
        is_told_where = any(self.environment.get(f"OTEL_EXPORTER_OTLP_{which}ENDPOINT") for which in ("", "TRACES_"))
        if telemetry.disabled or telemetry.traces_exporter == "none" or is_told_where:
            return
        port = self._port(settings.otlp_port, "STACK_OTLP_PORT")
        self._spawn("spans", "-m", "cli.spans", "--port", str(port), "--file", str(self.folder / "spans.db"))
        self.traces_url = f"http://127.0.0.1:{port}"
        # What has just ended is to be seen at once; by default it is sent after 5 s.
        self.environment = {"OTEL_BSP_SCHEDULE_DELAY": "200"} | self.environment
        self.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = self.traces_url

    def _serve_metrics(self, settings: StackSettings) -> None:
        telemetry = load(TelemetrySettings, **self.extra)
        if not telemetry.disabled and not telemetry.metrics_exporters and not telemetry.metrics:
            self.environment["OTEL_METRICS_EXPORTER"] = "prometheus"
        elif "prometheus" not in telemetry.metrics:
            return
        for n, name in enumerate(("api", *(f"worker-{queue}" for queue in TASKS))):
            wanted = settings.metrics_port and settings.metrics_port + n
            self._metrics_ports[name] = str(self._port(wanted, "STACK_METRICS_PORT"))

    async def _start_temporal(self, settings: StackSettings) -> None:
        if "TEMPORAL_ADDRESS" in self.environment:
            await self._reach_temporal("TEMPORAL_ADDRESS", patience=PATIENCE_WITH_GIVEN)
            return
        if load(TemporalSettings).is_encrypted:
            raise StackError("the embedded Temporal server does not encrypt: set TEMPORAL_ADDRESS, or no TEMPORAL_TLS…")
        port = self._port(settings.temporal_port, "STACK_TEMPORAL_PORT")
        ui_port = self._port(settings.temporal_ui_port, "STACK_TEMPORAL_UI_PORT")
        state = self.folder / "temporal.db" if self.keep else None
        namespace = load(TemporalSettings).namespace
        codec = f"{self.api_url}/codec" if load(TemporalSettings).encryption_keys else None
        page = ",".join(f"http://{host}:{ui_port}" for host in ("127.0.0.1", "localhost"))
        self.environment = {"CODEC_ORIGINS": page} | self.environment
        command = temporal_command(port=port, ui_port=ui_port, state=state, namespaces=(namespace,), codec=codec)
        self._processes.spawn("temporal", command, self.environment)
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
        if "DATABASE_URL" not in self.environment:
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
            self.environment["DATABASE_URL"] = self._postgres.create("orders")
        database = Database(load(DatabaseSettings, DATABASE_URL=self.environment["DATABASE_URL"]))

        async def answers() -> None:
            await asyncio.to_thread(database.ping)

        try:
            await _within(PATIENCE_WITH_GIVEN, answers, "DATABASE_URL")
        finally:
            database.close()

    async def _migrate(self) -> None:
        # A database of its own gets something to sell; what somebody else's has is theirs to say.
        catalogue = ["--catalogue"] if self._postgres else []
        command = [sys.executable, "-m", "migrations", *catalogue]
        migration = self._processes.spawn("migrations", command, self.environment)
        await asyncio.to_thread(migration.popen.wait)
        self._processes.forget(migration)
        if migration.popen.returncode:
            raise StackError(f"the migration failed, see {migration.log}: {migration.last_words}")

    async def _until_all_answer(self) -> None:
        deadline = time.monotonic() + PATIENCE
        async with httpx2.AsyncClient(trust_env=False) as http:
            while not await self._all_answer(http):
                for process in self._processes.running:
                    if process.popen.poll() is not None:
                        raise StackError(f"{process.name} did not start, see {process.log}: {process.last_words}")
                if time.monotonic() > deadline:
                    raise StackError(f"not everything answers after {PATIENCE:.0f} s, see {self._processes.logs}")
                await asyncio.sleep(0.1)

    async def _all_answer(self, http: httpx2.AsyncClient) -> bool:
        try:
            if (await http.get(f"{self.api_url}/readyz")).is_error:
                return False
            if self.traces_url and (await http.get(f"{self.traces_url}/traces/none")).is_error:
                return False
            return all(found.pollers for found in await queue_stats(self._client, timedelta(seconds=2)))
        except (httpx2.RequestError, DependencyUnavailable):
            return False


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
