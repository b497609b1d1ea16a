"""The whole system as its users start it: real processes."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from cli.main import main
from tests.servers import TEMPLATE, create_database

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 60
PORTS = ("API_PORT", "STACK_TEMPORAL_PORT", "STACK_TEMPORAL_UI_PORT", "STACK_OTLP_PORT", "STACK_METRICS_PORT")
ANY_PORT = dict.fromkeys(PORTS, "0")


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, **ANY_PORT, **changes}


@dataclass(frozen=True)
class Done:
    """How a command has ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def orders(*arguments: str, stdin: str = "", **settings: str) -> Done:
    """Run the ``orders`` command to its end, in this process: another one takes longer to start than what it does."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    handlers = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {**ANY_PORT, **settings}.items():
            patched.setenv(name, value)
        patched.chdir(ROOT)
        patched.setattr(sys, "argv", ["orders", *arguments])
        patched.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8"))
        patched.setattr(sys, "stdout", out)
        patched.setattr(sys, "stderr", err)
        try:
            main()
            code = 0
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 1
        finally:
            for signum, handler in handlers.items():
                signal.signal(signum, handler)
    said = [stream.buffer.getvalue().decode() for stream in (out, err)]
    return Done(code, *said)


def orders_alone(*arguments: str, stdin: str | None = None, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the ``orders`` command to its end, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=ROOT,
        env=environment(**settings),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@dataclass
class Up:
    """A running ``orders up``."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] = field(init=False)
    url: str = ""

    def start(self) -> Up:
        self.url = ""
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", "up", "--data-dir", str(self.folder)],
                cwd=ROOT,
                env=environment(**self.settings),
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + PATIENCE
        while not self.url:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            self.url = next((line.split()[1] for line in self.output.splitlines() if line.startswith("ready ")), "")
            time.sleep(0.05)
        return self

    @property
    def log(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.log")

    @property
    def output(self) -> str:
        return self.log.read_text()

    @property
    def traces_url(self) -> str:
        (line,) = [line for line in self.output.splitlines() if "ORDERS_TRACES_URL=" in line]
        return line.split("ORDERS_TRACES_URL=")[1].split()[0]

    def stop(self, name: signal.Signals = signal.SIGTERM) -> float:
        """Stop it, and return how many seconds that took."""
        start = time.monotonic()
        self.process.send_signal(name)
        self.process.wait(PATIENCE)
        return time.monotonic() - start

    def pid(self, name: str) -> int:
        entries = json.loads((self.folder / "stack.json").read_text())
        return next(int(entry["pid"]) for entry in entries if entry["name"] == name)

    def post(self, order: dict[str, Any]) -> dict[str, Any]:
        answer = httpx2.post(f"{self.url}/orders", json=order, trust_env=False)
        assert answer.status_code == 201, answer.text
        placed: dict[str, Any] = answer.json()
        return placed

    def get(self, path: str) -> Any:
        return httpx2.get(f"{self.url}{path}", trust_env=False).json()

    def until(self, order_id: str, status: str, patience: float = PATIENCE) -> dict[str, Any]:
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            order: dict[str, Any] = self.get(f"/orders/{order_id}")
            if order["status"] == status:
                return order
            time.sleep(0.05)
        raise AssertionError(
            f"{order_id} is {order['status']} and not {status}: {self.get(f'/orders/{order_id}/events')}"
        )


def alive(folder: Path) -> list[str]:
    """The processes that still have to do with a data folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        about = " ".join(process.info["cmdline"] or []) + " ".join((process.info["environ"] or {}).values())
        if str(folder) in about and process.pid != os.getpid():
            found.append(about[:200])
    return found


@pytest.fixture(scope="package")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A running system, in which a review passes by itself."""
    yield from _running(tmp_path_factory.mktemp("up") / "data", {"REVIEW_TIMEOUT": "3"})


@pytest.fixture(scope="package")
def reviewing(tmp_path_factory: pytest.TempPathFactory, process_name: str) -> Iterator[Up]:
    """A running system on servers that it is given, in which an order waits for a decision."""
    given = given_servers(create_database(f"reviewing_{process_name}", TEMPLATE), "reviewing")
    yield from _running(tmp_path_factory.mktemp("reviewing") / "data", {**given, "REVIEW_TIMEOUT": "3600"})


def given_servers(database_url: str, use: str = "stack") -> dict[str, str]:
    """The settings of a system that brings no servers of its own; ``use`` is what its namespace is for."""
    return {
        "DATABASE_URL": database_url,
        "TEMPORAL_ADDRESS": os.environ["TESTS_TEMPORAL_ADDRESS"],
        "TEMPORAL_NAMESPACE": f"{os.environ.get('PYTEST_XDIST_WORKER', 'master')}-{use}",
        "STACK_TEMPORAL_PORT": os.environ["TESTS_TEMPORAL_ADDRESS"].rpartition(":")[2],
    }


def _running(folder: Path, settings: dict[str, str]) -> Iterator[Up]:
    running = Up(folder, settings).start()
    yield running
    if running.process.poll() is None:
        assert running.stop() < 15
        assert alive(folder) == []
