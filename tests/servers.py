"""The real servers that all tests of a run share: started once, before the tests are spread over processes."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import create_engine, text

from cli.embedded import EmbeddedPostgres, free_port, temporal_command
from orders.errors import DependencyUnavailable
from orders.ledger.engine import pg8000_url
from orders.settings import TemporalSettings, load
from orders.temporal import connect, ping

TEMPLATE = "template_orders"
USES = (
    "idle",
    "stack",
    "reviewing",
    "shop",
    "unpaid",
    "travelling",
    "failing",
    "faulty",
    "waiting",
    "traced",
    "replaying",
    "underway",
    "told",
    "counted",
    "probed",
    "upgraded",
    "replaced",
    "rolling",
    "draining",
    "function",
    "audited",
    "guarded",
    "encrypted",
)
"""What each test process has namespaces for, besides its main one."""
PROVEN = """local all /^rotated_ scram-sha-256
local all /^signed_ password
"""
"""Of whose roles PostgreSQL wants a password, by the beginnings of their names (PostgreSQL manual, "pg_hba.conf")."""


def create_database(name: str, template: str = "template1") -> str:
    """Create a database on the shared server, and return its URL."""
    _ask(f'create database "{name}" template "{template}"')
    return os.environ["TESTS_POSTGRES_URL"].format(name)


def _ask(statement: str) -> None:
    url = os.environ["TESTS_POSTGRES_URL"].format("postgres")
    admin = create_engine(pg8000_url(url), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(statement))
    admin.dispose()


@dataclass
class Servers:
    """PostgreSQL with a migrated template, and Temporal with a namespace for each test process."""

    folder: Path
    postgres: EmbeddedPostgres
    temporal: subprocess.Popen[bytes]

    @classmethod
    def start(cls, processes: int) -> Servers:
        folder = Path(tempfile.mkdtemp(prefix="orders-tests-"))
        port = free_port()
        with (folder / "temporal.log").open("wb") as log:
            # As pytest-xdist calls its processes; the master works where there are none.
            names = (*(f"gw{number}" for number in range(processes)), "master")
            namespaces = (*names, *(f"{name}-{use}" for name in names for use in USES))
            temporal = subprocess.Popen(
                temporal_command(port=port, namespaces=namespaces), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        postgres = EmbeddedPostgres(folder / "postgres")
        rules = folder / "postgres" / "pg_hba.conf"
        rules.write_text(PROVEN + rules.read_text())
        environment = {**os.environ, "DATABASE_URL": postgres.create(TEMPLATE)}
        migrate = [sys.executable, "-m", "migrations", "--catalogue"]
        subprocess.run(migrate, env=environment, check=True, capture_output=True)
        # The processes that pytest-xdist starts inherit these.
        os.environ["TESTS_POSTGRES_URL"] = postgres.url("{}")
        _ask("select pg_reload_conf()")
        os.environ["TESTS_TEMPORAL_ADDRESS"] = f"127.0.0.1:{port}"
        asyncio.run(_until_it_answers(port))
        return cls(folder, postgres, temporal)

    def stop(self) -> None:
        # It keeps nothing, and takes seconds to take its leave.
        self.temporal.kill()
        self.temporal.wait(10)
        self.postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


async def _until_it_answers(port: int) -> None:
    settings = load(TemporalSettings, TEMPORAL_ADDRESS=f"127.0.0.1:{port}", TEMPORAL_NAMESPACE="master")
    for _ in range(300):
        try:
            await ping(await connect(settings), timedelta(seconds=1))
        except DependencyUnavailable:
            await asyncio.sleep(0.1)
        else:
            return
    raise TimeoutError("Temporal did not start")
