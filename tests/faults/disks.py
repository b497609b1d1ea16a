"""A small disk of a moment, for a server that shall find it full."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

STUFFING = "stuffing"


class NoDisk(Exception):
    """This machine doesn't let one make a disk; the text says why."""


class Disk:
    """A tmpfs of so many MB at a folder, which only those see who enter its mount namespace, and which goes with it.

    Raises:
        NoDisk: neither root nor namespaces of users are to be had.
    """

    def __init__(self, folder: Path, size: int) -> None:
        if not (shutil.which("unshare") and shutil.which("nsenter")):
            raise NoDisk("util-linux with unshare and nsenter is not installed")
        is_root = os.geteuid() == 0
        as_oneself = [] if is_root else ["--user", "--map-current-user", "--keep-caps"]
        mount = f'mount -t tmpfs -o size={size}m,mode=0755 disk "$1" && echo made && exec cat'
        # It lives as long as its standard input: whatever becomes of this process, nothing is left mounted.
        self._keeper = subprocess.Popen(
            ["unshare", *as_oneself, "--mount", "--propagation", "private", "sh", "-c", mount, "sh", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._keeper.stdout
        said = self._keeper.stdout.readline().decode().strip()
        if said != "made":
            self.close()
            raise NoDisk(said or "unshare failed")
        into = [] if is_root else ["--user", "--preserve-credentials"]
        self.enter = ["nsenter", *into, "--mount", "--target", str(self._keeper.pid), "--"]
        """What a command begins with that is to see the disk."""
        self.folder = Path(f"/proc/{self._keeper.pid}/root{folder}")
        """The folder as this process sees it."""

    def fill(self) -> None:
        """Leave no room on it."""
        stuffing = self.folder / STUFFING
        with stuffing.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 20))
            except OSError:
                # Full but for a rest of a block.
                return

    def free(self) -> None:
        """Give the room back."""
        (self.folder / STUFFING).unlink(missing_ok=True)

    def close(self) -> None:
        """Let it go, with all that is on it."""
        assert self._keeper.stdin
        assert self._keeper.stdout
        self._keeper.stdin.close()
        self._keeper.stdout.close()
        self._keeper.wait(5)
