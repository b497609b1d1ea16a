"""The API keeps what its own description promises: Schemathesis asks it whatever that allows, and forbids."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvicorn

from api.app import create_app
from api.auth import Gatekeeper
from api.dependencies import Services
from api.openapi import DOCUMENT, text
from cli.embedded import free_port
from orders.ledger.engine import Database
from orders.ledger.lists import Position
from orders.policy import Policy
from orders.settings import ApiSettings, AuthSettings, DatabaseSettings, TemporalSettings, load
from orders.temporal import connect
from tests.api.conftest import CURSORS, services_of, transport_to
from tests.function.transport import Environments, Front
from tests.issuer import Issuer, token

TESTS = Path(__file__).parent.parent


@asynccontextmanager
async def serving(services: Services, issuer: Issuer) -> AsyncIterator[str]:
    """A real server on the loopback."""
    async with transport_to(services, lambda: Gatekeeper(issuer.settings())) as transport:
        app = Front(transport) if isinstance(transport, Environments) else transport.app
        server = uvicorn.Server(uvicorn.Config(app, port=free_port(), log_config=None, lifespan="off"))
        running = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event to wait for
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{server.config.port}"
        services.feed.close()
        server.should_exit = True
        await running


async def schemathesis(url: str, settings: str, examples: int, folder: Path) -> tuple[int, str]:
    """Run its command against an API with all its checks; give its exit code and what it says."""
    cursor = CURSORS.write(Position(datetime.now(UTC), f"ord_{'f' * 24}"))
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "st"),
        "--config-file",
        str(TESTS / settings),
        "run",
        f"{url}/openapi.json",
        "--max-examples",
        str(examples),
        "--no-color",
        # It leaves notes for its next run where it is.
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(TESTS.parent),
            "COLUMNS": "160",
            "CURSOR": cursor,
            "TOKEN": token(seconds=600),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


def test_the_description_in_the_documentation_is_the_one_of_the_api() -> None:
    app = create_app(load(ApiSettings), gatekeeper=Gatekeeper(load(AuthSettings)))
    assert DOCUMENT.read_text() == text(app), "run `make docs`"


@pytest.mark.timeout(300)
async def test_it_does_with_the_stack_up(
    services_with: Callable[[Policy], Services], working: None, issuer: Issuer, tmp_path: Path
) -> None:
    async with serving(services_with(Policy()), issuer) as url:
        code, said = await schemathesis(url, "schemathesis.toml", 3, tmp_path)
    assert code == 0, said


@pytest.mark.timeout(300)
async def test_it_does_with_the_database_down(
    temporal_settings: TemporalSettings, issuer: Issuer, tmp_path: Path
) -> None:
    nowhere = f"postgresql://127.0.0.1:{free_port()}/orders"
    database = Database(load(DatabaseSettings, DATABASE_URL=nowhere))
    services = services_of(await connect(temporal_settings), database, Policy(), timeout=timedelta(seconds=0.1))
    async with serving(services, issuer) as url:
        code, said = await schemathesis(url, "schemathesis-database-down.toml", 2, tmp_path)
    database.close()
    assert code == 0, said
