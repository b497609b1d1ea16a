"""What every request gets: a trace id, a deadline, and limits."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from temporalio.client import Client

from orders.deadline import within
from orders.errors import DependencyUnavailable, Overloaded
from orders.ledger.engine import Database
from orders.policy import Policy
from orders.settings import ApiSettings, DatabaseSettings, load
from tests.api.conftest import STREAMS, Api, http_of, services_of
from tests.examples import body, new_id
from tests.logged import logged

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
NOBODY = "ord_" + "0" * 24


async def broken() -> None:
    raise ZeroDivisionError("select secret from postgres.internal")


async def slow() -> None:
    await asyncio.sleep(60)


@asynccontextmanager
async def api_with(client: Client, database: Database, **settings: str) -> AsyncIterator[httpx2.AsyncClient]:
    api = load(ApiSettings, **settings)
    services = services_of(client, database, Policy(), timeout=api.timeout)
    async with http_of(services, settings=api, routes={"/broken": broken, "/slow": slow}) as http:
        yield http


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("GET", "/healthz", None, 200),
        ("POST", "/orders", body(), 201),
        ("POST", "/orders", {}, 422),
        ("GET", f"/orders/{NOBODY}", None, 404),
        ("GET", "/nowhere", None, 404),
        ("DELETE", "/orders", None, 405),
        ("GET", "/broken", None, 500),
        ("GET", "/openapi.json", None, 200),
    ],
)
async def test_every_answer_carries_the_trace_id_of_its_request(
    client: Client, database: Database, method: str, path: str, sent: Any, status: int
) -> None:
    async with api_with(client, database) as http:
        headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        answer = await http.request(method, path, json=sent, headers=headers)
        assert (answer.status_code, answer.headers["Trace-Id"]) == (status, TRACE)
        if status >= 400:
            assert answer.json()["trace_id"] == TRACE


@pytest.mark.parametrize("traceparent", [None, "00-xyz", f"00-{'0' * 32}-00f067aa0ba902b7-01", "00-" + TRACE.upper()])
async def test_a_request_without_a_trace_begins_one(api: Api, traceparent: str | None) -> None:
    headers = {"traceparent": traceparent} if traceparent else {}
    first, second = [(await api.http.get("/healthz", headers=headers)).headers["Trace-Id"] for _ in range(2)]
    assert re.fullmatch(r"[0-9a-f]{32}", first)
    assert first != second


async def test_an_unexpected_error_says_nothing_of_what_is_inside(client: Client, database: Database) -> None:
    async with api_with(client, database) as http:
        answer = await http.get("/broken")
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, "application/problem+json")
    assert not re.search("secret|select|postgres|Traceback|ZeroDivision", answer.text)


async def test_what_takes_longer_than_the_deadline_is_ended(client: Client, database: Database) -> None:
    async with api_with(client, database, API_TIMEOUT="0.2") as http:
        begun = time.monotonic()
        answer = await http.get("/slow")
    assert (answer.status_code, answer.json()["type"]) == (504, "urn:order-lifecycle:problem:timeout")
    assert time.monotonic() - begun < 5


async def test_who_waits_for_events_has_the_time_that_they_ask_for(idle_client: Client, database: Database) -> None:
    async with api_with(idle_client, database, API_TIMEOUT="0.5") as http:
        path = f"/orders/{(await http.post('/orders', json=body())).json()['id']}/events"
        answer = await http.get(path, params={"wait": 1.5})
        assert (answer.status_code, answer.json()["data"]) == (200, [])


@pytest.mark.container_only(STREAMS)
async def test_a_stream_lasts_longer_than_other_requests(idle_client: Client, database: Database) -> None:
    async with api_with(idle_client, database) as patient:
        path = f"/orders/{(await patient.post('/orders', json=body())).json()['id']}/events"
    services = services_of(idle_client, database, Policy(), timeout=timedelta(seconds=0.5))
    async with http_of(services, settings=load(ApiSettings, API_TIMEOUT="0.5")) as http:
        streaming = asyncio.create_task(http.get(path, headers={"Accept": "text/event-stream"}))
        await asyncio.sleep(1.5)
        assert not streaming.done()
        services.feed.close()
        assert (await streaming).status_code == 200


async def test_how_an_order_gets_on_is_told_by_the_ledger_before_the_time_is_over(
    idle_client: Client, database: Database
) -> None:
    async with api_with(idle_client, database, API_TIMEOUT="1.5") as http:
        placed = (await http.post("/orders", json=body())).json()
        answer = await http.get(f"/orders/{placed['id']}/progress")
        assert (answer.status_code, answer.json()["source"]) == (200, "ledger")


async def test_a_request_is_in_the_log_without_what_was_looked_for(api: Api) -> None:
    with logged() as log:
        answer = await api.http.get("/orders", params={"customer_email": "john@example.com"})
        await api.http.get("/healthz")
    (line,) = log.of("api.middleware")
    assert re.fullmatch(r"GET /orders: 200 after \d+ ms", line["message"])
    assert line["trace_id"] == answer.headers["Trace-Id"]
    assert "john" not in str([entry for entry in log.entries if not entry["logger"].startswith("httpx2")])


async def test_a_request_about_an_order_names_it_in_the_log(idle_api: Api) -> None:
    order_id = new_id()
    with logged() as log:
        for method in ("GET", "HEAD"):
            await idle_api.http.request(method, f"/orders/{order_id}/events")
    assert [line["order_id"] for line in log.of("api.middleware")] == [order_id, order_id]


@pytest.mark.parametrize("path", ["/healthz", "/orders", "/orders/{id}", "/orders/{id}/events?wait=25"])
async def test_head_is_get_without_the_body_and_waits_for_nothing(patient_api: Api, path: str) -> None:
    path = path.format(id=(await patient_api.place())["id"])
    for headers in ({}, {"Accept": "text/event-stream"}):
        answer = await asyncio.wait_for(patient_api.http.head(path, headers=headers), 10)
        assert (answer.status_code, answer.content) == (200, b"")


async def test_a_message_that_no_worker_takes_in_time_is_a_timeout_and_changes_nothing(
    idle_client: Client, database: Database
) -> None:
    async with api_with(idle_client, database, API_TIMEOUT="1") as http:
        placed = (await http.post("/orders", json=body())).json()
        answer = await http.post(f"/orders/{placed['id']}/cancel")
        assert (answer.status_code, answer.json()["type"]) == (504, "urn:order-lifecycle:problem:timeout")
        assert "a worker of the order" in answer.json()["detail"]
        assert (await http.get(f"/orders/{placed['id']}")).json() == placed


async def test_a_statement_ends_with_the_deadline_of_its_request(database: Database) -> None:
    begun = time.monotonic()
    with within(timedelta(seconds=0.2)), pytest.raises(DependencyUnavailable, match="statement timeout"):
        await database.run_async(lambda connection: connection.execute(text("select pg_sleep(4)")))
    assert time.monotonic() - begun < 2
    # The connection has its own limit again.
    assert await database.run_async(_statement_timeout) == "5s"


def _statement_timeout(connection: Any) -> str:
    found: str = connection.execute(text("show statement_timeout")).scalar_one()
    return found


@asynccontextmanager
async def busy(database_url: str, waiting: int) -> AsyncIterator[tuple[Database, threading.Event]]:
    """A database with one connection, which is in use, and for which so many may wait."""
    settings = {"DATABASE_POOL_SIZE": "1", "DATABASE_MAX_WAITING": str(waiting), "DATABASE_URL": database_url}
    database, gate = Database(load(DatabaseSettings, **settings)), threading.Event()
    using = asyncio.create_task(database.run_async(lambda _: gate.wait(5)))
    await asyncio.sleep(0.05)
    yield database, gate
    gate.set()
    await using
    database.close()


async def test_a_request_that_waited_too_long_for_a_connection_asks_nothing_any_more(database_url: str) -> None:
    asked: list[Any] = []
    async with busy(database_url, waiting=1) as (database, gate):
        with within(timedelta(seconds=0.1)):
            late = asyncio.create_task(database.run_async(asked.append))
            await asyncio.sleep(0.2)
        gate.set()
        with pytest.raises(DependencyUnavailable, match="no connection was free in time"):
            await late
    assert asked == []


async def test_more_than_may_wait_for_the_database_are_sent_away(database_url: str) -> None:
    async with busy(database_url, waiting=1) as (database, gate):
        waiting = asyncio.create_task(database.run_async(_statement_timeout))
        await asyncio.sleep(0.05)
        with pytest.raises(Overloaded):
            await database.run_async(_statement_timeout)
        gate.set()
        assert await waiting
        assert await database.run_async(_statement_timeout)


async def test_who_is_sent_away_is_told_when_to_come_again(client: Client, database_url: str) -> None:
    async with busy(database_url, waiting=0) as (database, _), api_with(client, database) as http:
        answer = await http.get(f"/orders/{NOBODY}")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:order-lifecycle:problem:overloaded")
    assert int(answer.headers["Retry-After"]) > 0


async def test_headers_that_are_too_large_are_refused(api: Api) -> None:
    answer = await api.http.get("/healthz", headers={"X-Long": "x" * 17_000})
    assert (answer.status_code, answer.json()["type"]) == (431, "urn:order-lifecycle:problem:headers-too-large")


async def test_answers_with_personal_data_are_not_kept_by_anybody_in_between(api: Api) -> None:
    placed = await api.http.post("/orders", json=body())
    assert placed.headers["Cache-Control"] == "no-store"
    assert (await api.http.get(placed.headers["Location"])).headers["Cache-Control"] == "private, no-cache"


async def test_pages_of_other_origins_may_not_ask_unless_it_is_set(client: Client, database: Database) -> None:
    asked = {"Origin": "https://shop.example.com", "Access-Control-Request-Method": "POST"}
    async with api_with(client, database) as http:
        assert "Access-Control-Allow-Origin" not in (await http.get("/healthz", headers=asked)).headers
        assert (await http.options("/orders", headers=asked)).status_code == 405
    async with api_with(client, database, API_CORS_ORIGINS="https://shop.example.com") as http:
        answer = await http.options("/orders", headers={**asked, "Access-Control-Request-Headers": "Idempotency-Key"})
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["Trace-Id"])
        failed = await http.get("/broken", headers=asked)
        assert (failed.status_code, failed.headers["Cache-Control"]) == (500, "no-store")
        assert failed.headers["Access-Control-Allow-Origin"] == "https://shop.example.com"
        assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example.com"
        answer = await http.get("/healthz", headers=asked)
        assert "Trace-Id" in answer.headers["Access-Control-Expose-Headers"]
        other = await http.get("/healthz", headers={**asked, "Origin": "https://evil.example.com"})
        assert "Access-Control-Allow-Origin" not in other.headers
