"""What the processes of a stack take: memory, file descriptors and CPU time."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from cli.errors import StackError

MB = 1_000_000


@dataclass(frozen=True)
class Sample:
    """What was taken at one moment; ``at`` is in seconds, memory in MB."""

    at: float
    memory: dict[str, float]
    api_files: int


class Meters:
    """Watches the processes that a stack has written down in its folder."""

    def __init__(self, folder: Path) -> None:
        entries = json.loads((folder / "stack.json").read_text())
        self._processes = {entry["name"]: psutil.Process(entry["pid"]) for entry in entries}
        postmaster = int((folder / "postgres" / "postmaster.pid").read_text().split()[0])
        self._postgres = psutil.Process(postmaster)
        self._start = time.monotonic()
        self._cpu_before = self._cpu()
        self.samples: list[Sample] = []
        self.sample()

    def sample(self) -> None:
        """Look once.

        Raises:
            StackError: one of them has died.
        """
        for name, process in self._processes.items():
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                raise StackError(f"{name} has died")
        # PostgreSQL is left out: its processes share most of what each is said to have.
        memory = {name: process.memory_info().rss / MB for name, process in self._processes.items()}
        self.samples.append(Sample(time.monotonic() - self._start, memory, self.api_files()))

    def api_files(self) -> int:
        """Say how many files and sockets the API has open."""
        return self._processes["api"].num_fds()

    def cpu(self) -> dict[str, float]:
        """Say how many seconds of CPU time each has used since the start, and ``client``, which is this process."""
        return {name: seconds - self._cpu_before[name] for name, seconds in self._cpu().items()}

    def _cpu(self) -> dict[str, float]:
        used = {name: _seconds(process) for name, process in self._processes.items()}
        postgres = [self._postgres, *self._postgres.children()]
        return {**used, "postgres": sum(map(_seconds, postgres)), "client": _seconds(psutil.Process())}


def growth(samples: list[Sample], name: str) -> float:
    """Give the slope, in MB a minute, of the straight line through the second half of the samples."""
    second = samples[len(samples) // 2 :]
    return statistics.linear_regression([each.at / 60 for each in second], [each.memory[name] for each in second]).slope


def _seconds(process: psutil.Process) -> float:
    # PostgreSQL's processes come and go; those that are gone are among their parent's.
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)
