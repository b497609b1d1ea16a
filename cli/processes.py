"""Child processes: started, written down, started again when they die, and stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

DRAIN = 6.0
"""How long, in seconds, processes may take to stop before they are killed."""
SERVERS = frozenset({"temporal", "spans"})
"""What others use until they have stopped."""

Start = Callable[[], "subprocess.Popen[bytes]"]
Say = Callable[[str], None]


@dataclass
class Process:
    """A child process and how to start it again."""

    name: str
    start: Start
    log: Path
    popen: subprocess.Popen[bytes]
    deaths: int = 0
    again_at: float = 0.0

    @property
    def last_words(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


@dataclass
class Processes:
    """All children of a stack; ``record`` is the file by which a later run finds those that this one may leave."""

    record: Path
    logs: Path
    say: Say
    running: list[Process] = field(default_factory=list)

    def spawn(self, name: str, command: Sequence[str], environment: dict[str, str]) -> Process:
        """Start a command whose output goes to a log of its name."""
        log = self.logs / f"{name}.log"

        def start() -> subprocess.Popen[bytes]:
            with log.open("ab") as output:
                # A session of its own: Ctrl-C in the terminal reaches the stack alone, which stops all in order.
                return subprocess.Popen(
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )

        process = Process(name, start, log, start())
        self.running.append(process)
        self._write_down()
        return process

    def forget(self, process: Process) -> None:
        """Take one that has ended off the list."""
        self.running.remove(process)
        self._write_down()

    def revive(self) -> None:
        """Start again what has died, after a wait that grows with each death."""
        now = time.monotonic()
        for process in self.running:
            code = process.popen.poll()
            if code is None:
                continue
            if not process.again_at:
                process.deaths += 1
                wait = min(0.5 * 2**process.deaths, 15.0)
                process.again_at = now + wait
                ended = f"was ended by signal {-code}" if code < 0 else f"left with {code}"
                self.say(f"{process.name} {ended}: starting it again in {wait:.0f} s (see {process.log})")
            elif now >= process.again_at:
                process.popen = process.start()
                process.again_at = 0.0
                self._write_down()

    def stop(self, *names: str, by: signal.Signals = signal.SIGTERM) -> None:
        """Stop those of these names, or all; what does not stop in time is killed."""
        group = [process for process in self.running if not names or process.name in names]
        for process in group:
            if process.popen.poll() is None:
                process.popen.send_signal(by)
        deadline = time.monotonic() + DRAIN
        for process in group:
            try:
                process.popen.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.say(f"{process.name} did not stop in {DRAIN:.0f} s: killed")
                process.popen.kill()
                process.popen.wait()

    def end_those_of_an_earlier_run(self) -> None:
        """End what the record says is left of a run that was killed."""
        try:
            left = json.loads(self.record.read_text())
            # What uses a server before the server, for which it would wait; the rest all at once.
            servers = [entry for entry in left if entry["name"] in SERVERS]
            rest = [entry for entry in left if entry["name"] not in SERVERS]
            ended = _end(rest) + _end(servers)
        except FileNotFoundError:
            return
        except (ValueError, TypeError, KeyError):
            self.say(f"{self.record} can't be read: if an earlier run has left processes, end them by hand")
            return
        if ended:
            self.say(f"an earlier run had not stopped: ended its {', '.join(ended)}")

    def _write_down(self) -> None:
        entries = []
        for process in self.running:
            try:
                started = psutil.Process(process.popen.pid).create_time()
            except psutil.NoSuchProcess:
                continue
            entries.append({"name": process.name, "pid": process.popen.pid, "started": started})
        # In one step: a run that is killed here must not leave half a record.
        draft = self.record.with_suffix(".new")
        draft.write_text(json.dumps(entries))
        os.replace(draft, self.record)  # noqa: PTH105 - the step is what matters


def _end(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """End processes that an earlier run left, unless their ids now belong to others, and name them."""
    found = {process: entry["name"] for entry in entries if (process := _that_was(entry["pid"], entry["started"]))}
    for process in found:
        process.terminate()
    _, late = psutil.wait_procs(found, DRAIN)
    for process in late:
        process.kill()
    psutil.wait_procs(late, DRAIN)
    return list(found.values())


def _that_was(pid: int, started: float) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        return process if abs(process.create_time() - started) <= 1 else None
    except psutil.NoSuchProcess:
        return None
