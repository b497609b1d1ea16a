"""Probes, and what the API does while its servers are away."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta

import httpx2
import pytest
from sqlalchemy import NullPool, create_engine, text
from temporalio.client import Client

from api.app import create_app
from api.dependencies import Services
from cli.embedded import free_port
from orders.ledger.engine import Database, pg8000_url
from orders.policy import Policy
from orders.settings import ApiSettings, DatabaseSettings, TemporalSettings, load
from orders.temporal import connect
from tests.api.conftest import Api, http_of, services_of
from tests.examples import body, new_id
from tests.servers import TEMPLATE, create_database


@pytest.fixture
async def away() -> AsyncIterator[httpx2.AsyncClient]:
    """An API whose servers are both away."""
    settings = load(TemporalSettings, TEMPORAL_ADDRESS=f"127.0.0.1:{free_port()}")
    database = Database(load(DatabaseSettings, DATABASE_URL=f"postgresql://ann:hunter2@127.0.0.1:{free_port()}/orders"))
    client = await connect(settings, lazy=True)
    async with http_of(services_of(client, database, Policy(), timedelta(seconds=1))) as http:
        yield http
    database.close()


async def test_an_api_with_its_servers_is_alive_and_ready(api: Api) -> None:
    assert (await api.http.get("/healthz")).json() == {"status": "ok"}
    ready = await api.http.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def test_an_api_whose_database_has_no_schema_is_not_ready_and_says_what_to_do(client: Client) -> None:
    url = create_database(f"bare_{new_id()}")
    database = Database(load(DatabaseSettings, DATABASE_URL=url, DATABASE_POOL_SIZE=1))
    async with http_of(services_of(client, database, Policy())) as http:
        ready = await http.get("/readyz")
    database.close()
    assert ready.status_code == 503
    assert re.fullmatch(
        r"waiting for migrations \(the database has no schema yet, this release needs \d+: run python -m migrations\)",
        ready.json()["detail"],
    )


async def test_an_api_without_its_servers_is_alive_but_not_ready_and_says_for_what_it_waits(
    away: httpx2.AsyncClient,
) -> None:
    assert (await away.get("/healthz")).status_code == 200
    ready = await away.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["detail"] == "waiting for Temporal and PostgreSQL"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/orders"),
        ("GET", "/orders"),
        ("GET", "/orders/ord_000000000000000000000000"),
        ("GET", "/orders/ord_000000000000000000000000/events"),
        ("POST", "/orders/ord_000000000000000000000000/cancel"),
    ],
)
async def test_a_request_to_an_api_without_its_servers_is_told_to_come_again(
    away: httpx2.AsyncClient, method: str, path: str
) -> None:
    answer = await away.request(method, path, json=body() if path == "/orders" else None)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert answer.json()["type"] == "urn:order-lifecycle:problem:unavailable"
    assert not [secret for secret in ("hunter2", "127.0.0.1", "Traceback") if secret in answer.text]


async def test_who_asks_for_what_is_locked_is_told_to_come_again_and_why_is_in_the_log_alone(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    url = create_database(f"locked_{new_id()}", TEMPLATE)
    database = Database(load(DatabaseSettings, DATABASE_URL=url, DATABASE_TIMEOUT="0.3", DATABASE_POOL_SIZE=1))
    engine = create_engine(pg8000_url(url), poolclass=NullPool)
    async with http_of(services_of(client, database, Policy())) as http:
        with engine.begin() as connection:
            connection.execute(text("lock table orders in access exclusive mode"))
            locked = await http.get("/orders")
        free = await http.get("/orders")
    database.close()
    assert (locked.status_code, locked.json()["type"]) == (503, "urn:order-lifecycle:problem:unavailable")
    assert locked.headers["Retry-After"]
    assert "lock" not in locked.text
    assert "canceling statement due to lock timeout" in caplog.text
    assert free.status_code == 200


async def test_an_api_that_starts_waits_for_its_servers_and_says_so(
    services_with: Callable[[Policy], Services], caplog: pytest.LogCaptureFixture
) -> None:
    settings = load(TemporalSettings, TEMPORAL_ADDRESS=f"127.0.0.1:{free_port()}")
    there = services_with(Policy())
    waiting = replace(there, client=await connect(settings, lazy=True))
    app = create_app(load(ApiSettings), waiting)
    async with app.router.lifespan_context(app):
        async with asyncio.timeout(10):
            while "waiting for Temporal" not in caplog.text:  # noqa: ASYNC110 - logs give no event
                await asyncio.sleep(0.05)
    assert "waiting for PostgreSQL" not in caplog.text


async def test_the_documentation_is_there(api: Api) -> None:
    assert "swagger" in (await api.http.get("/docs")).text.lower()
    document = (await api.http.get("/openapi.json")).json()
    assert {"/orders", "/orders/{order_id}", "/orders/{order_id}/events", "/healthz", "/readyz"} <= set(
        document["paths"]
    )
    assert "Problem" in document["components"]["schemas"]
