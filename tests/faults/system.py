"""The whole system in real processes with servers of its own, each of which can be killed, paused and cut off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2
from pydantic import AliasChoices

from cli.embedded import free_port, temporal_command
from orders.contracts import TASKS
from orders.settings import CONCERNS
from tests.faults.clocks import Clocks, NoClocks
from tests.faults.postgres import Postgres
from tests.faults.proxy import Proxy

PATIENCE = 60.0
"""How long, in seconds, processes may take to be ready."""
POSTGRES, TEMPORAL = "postgres", "temporal"


@dataclass
class Process:
    """One that can be started again and again; ``probe`` is the URL that says whether it is ready, if it has one."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    probe: str
    popen: subprocess.Popen[bytes] | None = None
    is_paused: bool = False

    @property
    def is_running(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def start(self) -> None:
        """Start it, unless it runs."""
        if self.is_running:
            return
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                self.command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self.popen is not None and self.popen.poll() is None:
            self.popen.send_signal(number)

    def wait(self, timeout: float) -> int | None:
        """Wait for its end; gives its exit code."""
        return self.popen.wait(timeout) if self.popen else None

    def answers(self) -> bool:
        try:
            return httpx2.get(self.probe, timeout=2, trust_env=False).is_success
        except httpx2.RequestError:
            return False


class System:
    """PostgreSQL, Temporal, a proxy before each, ``apis`` API processes and so many workers of each queue.

    The processes are called ``api-1``, ``api-2`` …, ``orders-1``, ``payments-1``, ``shipping-1`` …, and the servers
    ``postgres`` and ``temporal``. ``settings`` are those of all processes, ``settings_of`` those of one besides.

    ``database_url`` and ``temporal_address`` are what the processes use, through the proxies ``to_postgres`` and
    ``to_temporal``; ``admin_database_url`` and ``admin_temporal_address`` go past them. The folder's path has to be a
    short one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        settings: Mapping[str, str] | None = None,
        settings_of: Mapping[str, Mapping[str, str]] | None = None,
        apis: int = 2,
        workers: int = 1,
    ) -> None:
        self.folder = folder
        self.clocks, self.no_clocks = None, ""
        try:
            self.clocks = Clocks(folder / "clocks")
        except NoClocks as error:
            self.no_clocks = str(error)
        self.processes: dict[str, Process] = {}
        self.api_urls: list[str] = []
        self._settings, self._settings_of = settings or {}, settings_of or {}
        self._shape = (apis, workers)

    def start(self) -> Self:
        """Start everything; returns when all are ready."""
        port = free_port()
        # As root, PostgreSQL makes the folders above its data traversable; the logs' folder is made for others here.
        self._environment = _without_settings() | {"OTEL_SDK_DISABLED": "true", **self._settings}
        command = temporal_command(port=port, state=self.folder / "temporal.db", namespaces=("default",))
        self._add(TEMPORAL, command, {}, "")
        self.processes[TEMPORAL].start()
        self.postgres = Postgres(self.folder, self._clock_of(POSTGRES))
        self.postgres.start()
        self.admin_database_url, self.admin_temporal_address = self.postgres.url, f"127.0.0.1:{port}"
        self.to_postgres, self.to_temporal = Proxy(self.postgres.port), Proxy(port)
        self.database_url = f"postgresql://postgres@127.0.0.1:{self.to_postgres.port}/orders"
        self.temporal_address = f"127.0.0.1:{self.to_temporal.port}"
        self._environment |= {"DATABASE_URL": self.database_url, "TEMPORAL_ADDRESS": self.temporal_address}
        self._migrate()
        self._add_processes()
        for process in self.processes.values():
            process.start()
        self.until_ready()
        return self

    def _migrate(self) -> None:
        with self.log("migrations").open("ab") as log:
            command = [sys.executable, "-m", "migrations", "--catalogue"]
            subprocess.run(command, env=self._environment, check=True, stdout=log, stderr=log, timeout=PATIENCE)

    def _add_processes(self) -> None:
        apis, workers = self._shape
        for number in range(1, apis + 1):
            port = free_port()
            self.api_urls.append(f"http://127.0.0.1:{port}")
            command = [sys.executable, "-m", "api"]
            self._add(f"api-{number}", command, {"API_PORT": str(port)}, f"{self.api_urls[-1]}/readyz")
        for queue in TASKS:
            for number in range(1, workers + 1):
                port = free_port()
                command = [sys.executable, "-m", "workers", queue]
                probe = f"http://127.0.0.1:{port}/readyz"
                self._add(f"{queue}-{number}", command, {"WORKER_HEALTH_PORT": str(port)}, probe)

    def _add(self, name: str, command: Sequence[str], settings: Mapping[str, str], probe: str) -> None:
        # Temporal's server is linked statically: nothing can come between it and its clock.
        clock = {} if name == TEMPORAL else self._clock_of(name)
        environment = {**self._environment, **settings, **self._settings_of.get(name, {}), **clock}
        self.processes[name] = Process(name, command, environment, self.log(name), probe)

    def _clock_of(self, name: str) -> dict[str, str]:
        return self.clocks.environment(name) if self.clocks else {}

    def log(self, name: str) -> Path:
        """The file with what a process has said."""
        return self.folder / f"{name}.log"

    @property
    def apis(self) -> list[str]:
        """The names of the API processes, in the order of ``api_urls``."""
        return [name for name in self.processes if name.startswith("api-")]

    @property
    def workers(self) -> list[str]:
        """The names of the worker processes."""
        return [name for name in self.processes if name.rpartition("-")[0] in TASKS]

    # What can be done to each

    def kill(self, name: str) -> None:
        """End it by SIGKILL."""
        if name == POSTGRES:
            self.postgres.kill()
            return
        self._kill(self.processes[name])

    def _kill(self, process: Process) -> None:
        process.send(signal.SIGKILL)
        process.wait(10)
        process.is_paused = False
        if self.clocks and process.popen:
            self.clocks.forget(process.popen.pid)

    def terminate(self, name: str, patience: float = PATIENCE) -> int | None:
        """End it by SIGTERM, or PostgreSQL by SIGINT; gives the exit code."""
        if name == POSTGRES:
            self.postgres.stop("fast")
            return None
        process = self.processes[name]
        process.send(signal.SIGTERM)
        return process.wait(patience)

    def pause(self, name: str) -> None:
        """Stop it where it stands, by SIGSTOP."""
        process = self.processes[name]
        process.send(signal.SIGSTOP)
        process.is_paused = True

    def resume(self, name: str) -> None:
        """Let it go on, by SIGCONT."""
        process = self.processes[name]
        process.send(signal.SIGCONT)
        process.is_paused = False

    def start_one(self, name: str) -> None:
        """Start what has ended; ``until_ready`` waits for it."""
        if name == POSTGRES:
            self.postgres.start()
        else:
            self.processes[name].start()

    def heal(self) -> None:
        """Undo whatever was done: everything runs, is in time, has room and is connected, and is ready."""
        self.to_postgres.heal()
        self.to_temporal.heal()
        if self.postgres.disk:
            self.postgres.disk.free()
        for name, process in self.processes.items():
            if process.is_paused:
                self.resume(name)
            if self.clocks and name != TEMPORAL:
                self.clocks.set(name, 0)
        if self.clocks:
            self.clocks.set(POSTGRES, 0)
        for name in (POSTGRES, *self.processes):
            self.start_one(name)
        self.until_ready()

    def until_ready(self, *names: str, patience: float = PATIENCE) -> None:
        """Wait until these processes, or all, say that they are.

        Raises:
            TimeoutError: one does not; the message has its last words.
        """
        deadline = time.monotonic() + patience
        for name in names or (*self.apis, *self.workers):
            process = self.processes[name]
            while not process.answers():
                if time.monotonic() > deadline:
                    said = process.log.read_text(errors="replace").strip().splitlines()
                    raise TimeoutError(f"{name} is not ready after {patience:.0f} s: {said[-1] if said else 'no word'}")
                time.sleep(0.05)

    def stop(self) -> None:
        """Kill everything that runs, servers last."""
        for process in reversed(self.processes.values()):
            self._kill(process)
        for name in ("to_postgres", "to_temporal"):
            if hasattr(self, name):
                getattr(self, name).stop()
        if hasattr(self, "postgres"):
            self.postgres.close()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _without_settings() -> dict[str, str]:
    """The environment without the settings of whoever runs this."""
    fields = [field for concern in CONCERNS for field in concern.model_fields.values()]
    others = [each.validation_alias.choices for each in fields if isinstance(each.validation_alias, AliasChoices)]
    names = {str(each.alias) for each in fields} | {str(name) for choices in others for name in choices}
    return {name: value for name, value in os.environ.items() if name not in names}
