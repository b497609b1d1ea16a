"""Programs that are needed here and are no Python packages: fetched once into a folder, by one process at a time."""

from __future__ import annotations

import fcntl
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from infra.kind import ROOT

CACHE = ROOT / ".cache"
PATIENCE = 110.0
"""How long, in seconds, one command that fetches may take."""


class Missing(Exception):
    """A program is nowhere; the text is one line that says what to do."""


def once(folder: Path, names: Sequence[str], fetch: Callable[[Path], None]) -> None:
    """Have ``fetch`` put programs of these names into a temporary folder, from which they move into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        # Tests in several processes want them at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if all((folder / name).exists() for name in names):
            return
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            fetch(Path(temporary))
            for name in names:
                (Path(temporary) / name).replace(folder / name)


def run(command: Sequence[str], folder: Path, patience: float = PATIENCE) -> None:
    """Run a command in a folder, quietly, for so many seconds at most.

    Raises:
        subprocess.SubprocessError: it failed, or took too long.
    """
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=patience)


def reason(error: Exception) -> str:
    """Give the last line of what a command said when it failed."""
    return (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1]
