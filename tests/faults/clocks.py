"""Clocks of processes that can be set while they run, by libfaketime."""

from __future__ import annotations

import ctypes
from importlib.util import find_spec
from pathlib import Path

PLACE = "vendor/libfaketime/src/libfaketime.so.1"
"""Where the package has its library."""
SHARED = Path("/dev/shm")
"""Where the library keeps something for each process, by its id (shm_overview(7))."""


class NoClocks(Exception):
    """Clocks can't be set on this machine; the text says why."""


class Clocks:
    """What each process reads as the time of the day; monotonic time goes on as it does.

    Raises:
        NoClocks: libfaketime is not there, or not for this machine.
    """

    def __init__(self, folder: Path) -> None:
        spec = find_spec("libfaketime")
        if not spec or not spec.origin:
            raise NoClocks("libfaketime is not installed")
        self._library = Path(spec.origin).parent / PLACE
        try:
            ctypes.CDLL(str(self._library))
        except OSError as error:
            raise NoClocks(f"libfaketime can't be loaded: {error}") from error
        self._folder = folder
        folder.mkdir()
        folder.chmod(0o755)

    def environment(self, name: str) -> dict[str, str]:
        """Give the variables of a process whose clock ``set`` can set."""
        self.set(name, 0)
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._folder / name),
            # How often the file is read, in seconds.
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Its mending of condition variables, for an old libc, has whoever waits for Python's lock wait for nothing.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            "NO_FAKE_STAT": "1",
        }

    def set(self, name: str, seconds: int) -> None:
        """Set the clock of a process so many seconds ahead, or back; it notices within a second."""
        draft = self._folder / f"{name}.new"
        draft.write_text(f"{seconds:+d}\n")
        draft.chmod(0o644)
        draft.rename(self._folder / name)

    def forget(self, process: int) -> None:
        """Delete what the library would have deleted, had the process come to its end."""
        for name in (f"sem.faketime_sem_{process}", f"faketime_shm_{process}"):
            (SHARED / name).unlink(missing_ok=True)
