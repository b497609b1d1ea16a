"""Following an order: page by page, by waiting, and as a stream."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
import uvicorn

from api import event_stream
from api.app import create_app
from api.auth import Gatekeeper
from api.dependencies import Services
from api.feed import EventFeed
from orders.contracts import RecordRefusal
from orders.ledger import reader as ledger_reader
from orders.ledger.reader import LedgerReader
from orders.ledger.writer import Ledger
from orders.policy import Policy
from orders.settings import ApiSettings, load
from tests.api.conftest import STREAMS, Api, bearer, http_of
from tests.examples import new_id
from tests.issuer import Issuer, token

STREAM = {"Accept": "text/event-stream"}


@dataclass
class Message:
    """A server-sent event, read as a browser does (HTML standard, section 9.2.6)."""

    id: int
    data: dict[str, Any]


def messages(text: str) -> list[Message]:
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        assert fields.keys() <= {"data", "id", "retry"}
        if "data" in fields:
            found.append(Message(int(fields["id"]), json.loads(fields["data"])))
    return found


async def completed(api: Api) -> tuple[str, list[dict[str, Any]]]:
    order_id: str = (await api.place())["id"]
    await api.until(order_id, "completed")
    return order_id, (await api.http.get(f"/orders/{order_id}/events")).json()["data"]


async def in_review(api: Api) -> tuple[str, str]:
    """An order to which nothing happens by itself, and its events' address behind the last one."""
    order_id: str = (await api.place())["id"]
    order = await api.until(order_id, "in_review")
    return order_id, f"/orders/{order_id}/events?after={order['version']}"


async def cancel(api: Api, order_id: str) -> None:
    assert (await api.http.post(f"/orders/{order_id}/cancel")).status_code == 200


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - neither a feed nor a server tells
            await asyncio.sleep(0.01)


@asynccontextmanager
async def at_most_one_waiting(api: Api, services: Services) -> AsyncIterator[tuple[httpx2.AsyncClient, str]]:
    """An API at which somebody waits for the events at the address, and no one else may."""
    order_id, address = await in_review(api)
    feed = EventFeed(LedgerReader(services.database), max_waiting=1)
    async with http_of(replace(services, feed=feed)) as http:
        first = asyncio.create_task(http.get(f"{address}&wait=25"))
        await until(lambda: feed.waiting == 1)
        yield http, address
        await cancel(api, order_id)
        assert (await first).json()["data"]
        assert feed.waiting == 0


async def test_who_waits_gets_what_happens_as_soon_as_it_does(patient_api: Api) -> None:
    order_id, address = await in_review(patient_api)
    waiting = asyncio.create_task(patient_api.http.get(f"{address}&wait=25"))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    began = time.monotonic()
    await cancel(patient_api, order_id)
    page = (await waiting).json()
    assert time.monotonic() - began < 3
    assert page["data"][0]["type"] == "cancel_requested"


async def test_who_waits_in_vain_gets_an_empty_answer_and_where_to_go_on(patient_api: Api) -> None:
    order_id, address = await in_review(patient_api)
    answer = await patient_api.http.get(f"{address}&wait=0.2")
    assert answer.status_code == 200
    assert answer.json() == {"data": [], "next": address.rpartition("=")[2]}
    await cancel(patient_api, order_id)


async def test_nobody_waits_for_what_is_there_or_will_never_come(api: Api) -> None:
    order_id, trail = await completed(api)
    began = time.monotonic()
    there = (await api.http.get(f"/orders/{order_id}/events?after=1&wait=25")).json()
    never = (await api.http.get(f"/orders/{order_id}/events?after={len(trail)}&wait=25")).json()
    beyond = (await api.http.get(f"/orders/{order_id}/events?after={len(trail) + 9}&wait=25")).json()
    assert there == {"data": trail[1:], "next": None}
    assert never == beyond == {"data": [], "next": None}
    assert time.monotonic() - began < 3


async def test_a_long_trail_is_read_page_by_page(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    order_id, trail = await completed(api)
    monkeypatch.setattr(ledger_reader, "MOST_EVENTS", 5)
    found, after = [], "0"
    while after is not None:
        page = (await api.http.get(f"/orders/{order_id}/events", params={"after": after})).json()
        assert 0 < len(page["data"]) <= 5
        found += page["data"]
        after = page["next"]
    assert found == trail


@pytest.mark.container_only(STREAMS)
async def test_a_stream_tells_an_order_s_whole_life_and_ends_with_it(api: Api) -> None:
    placed = await api.place()
    answer = await api.http.get(f"/orders/{placed['id']}/events", headers=STREAM)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert (answer.headers["Cache-Control"], answer.headers["Vary"]) == ("no-store", "Accept")
    assert answer.text.startswith("retry: 1000\n\n")
    trail = (await api.http.get(f"/orders/{placed['id']}/events")).json()["data"]
    assert [message.data for message in messages(answer.text)] == trail
    assert [message.id for message in messages(answer.text)] == [event["seq"] for event in trail]
    assert trail[-1]["type"] == "completed"


@pytest.mark.container_only(STREAMS)
async def test_a_stream_goes_on_from_the_last_event_that_was_seen(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    order_id, trail = await completed(api)
    monkeypatch.setattr(ledger_reader, "MOST_EVENTS", 3)
    answer = await api.http.get(f"/orders/{order_id}/events?after=1", headers={**STREAM, "Last-Event-ID": "4"})
    assert [message.data for message in messages(answer.text)] == trail[4:]


@pytest.mark.container_only(STREAMS)
async def test_a_client_that_has_seen_the_end_is_told_not_to_come_again(api: Api) -> None:
    order_id, trail = await completed(api)
    answer = await api.http.get(f"/orders/{order_id}/events", headers={**STREAM, "Last-Event-ID": str(len(trail))})
    assert (answer.status_code, answer.content, answer.headers["Vary"]) == (204, b"", "Accept")


@pytest.mark.container_only(STREAMS)
async def test_what_is_refused_after_the_end_is_streamed_once_and_not_waited_for(api: Api, ledger: Ledger) -> None:
    order_id, trail = await completed(api)
    ledger.record_refusal(RecordRefusal(order_id, "m1", "cancel", "too late", datetime.now(UTC), "ann"))
    answer = await api.http.get(f"/orders/{order_id}/events?after={len(trail)}", headers=STREAM)
    assert [message.data["type"] for message in messages(answer.text)] == ["refused"]


@pytest.mark.container_only(STREAMS)
async def test_a_quiet_stream_gives_signs_of_life(patient_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "KEEP_ALIVE", 0.05)
    order_id, address = await in_review(patient_api)
    streaming = asyncio.create_task(patient_api.http.get(address, headers=STREAM))
    await asyncio.sleep(0.3)
    await cancel(patient_api, order_id)
    text = (await streaming).text
    assert text.count(": ping\n\n") >= 2
    assert messages(text)[-1].data["type"] == "cancelled"


@pytest.mark.parametrize(
    ("query", "headers", "where"),
    [
        ("", {"Last-Event-ID": "seven"}, ("header", "Last-Event-ID")),
        ("", {"Last-Event-ID": "-1"}, ("header", "Last-Event-ID")),
        ("?wait=25.1", {}, ("parameter", "wait")),
        ("?wait=-1", {}, ("parameter", "wait")),
        ("?wait=nan", {}, ("parameter", "wait")),
    ],
)
async def test_what_makes_no_sense_is_named(
    api: Api, query: str, headers: dict[str, str], where: tuple[str, str]
) -> None:
    answer = await api.http.get(f"/orders/{new_id()}/events{query}", headers={**STREAM, **headers})
    assert (answer.status_code, answer.json()["errors"][0][where[0]]) == (422, where[1])


async def test_an_unknown_order_has_no_stream(api: Api) -> None:
    answer = await api.http.get(f"/orders/{new_id()}/events", headers=STREAM)
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.container_only("there is one request at a time, so nobody is too many")
@pytest.mark.parametrize(("query", "headers"), [("&wait=25", {}), ("", STREAM)])
async def test_one_too_many_who_waits_is_told_to_come_again(
    patient_api: Api, services_with: Callable[[Policy], Services], query: str, headers: dict[str, str]
) -> None:
    async with at_most_one_waiting(patient_api, services_with(Policy())) as (http, address):
        answer = await http.get(f"{address}{query}", headers=headers)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        assert answer.json()["type"] == "urn:order-lifecycle:problem:overloaded"
        assert (await http.get(address)).status_code == 200


@pytest.mark.container_only("there is one request at a time, so nobody is too many")
async def test_a_caller_that_takes_too_many_places_leaves_the_others_theirs(
    patient_api: Api, services_with: Callable[[Policy], Services], issuer: Issuer
) -> None:
    order_id, address = await in_review(patient_api)
    feed = EventFeed(LedgerReader(services_with(Policy()).database), max_waiting=3, max_each=1)
    ann, bob = (bearer(token(sub=name)) for name in ("ann", "bob"))
    services = replace(services_with(Policy()), feed=feed)
    async with http_of(services, lambda: Gatekeeper(issuer.settings())) as http:
        first = asyncio.create_task(http.get(f"{address}&wait=25", headers=ann))
        await until(lambda: feed.waiting == 1)
        refused = await http.get(f"{address}&wait=25", headers=ann)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
        second = asyncio.create_task(http.get(f"{address}&wait=25", headers=bob))
        await until(lambda: feed.waiting == 2)
        await cancel(patient_api, order_id)
        assert [(await each).status_code for each in (first, second)] == [200, 200]


@pytest.mark.container_only("a gateway tells nobody that its client has gone")
@pytest.mark.parametrize(("query", "headers"), [("&wait=25", ""), ("", "Accept: text/event-stream\r\n")])
async def test_a_client_that_goes_away_is_noticed(
    patient_api: Api,
    services_with: Callable[[Policy], Services],
    caplog: pytest.LogCaptureFixture,
    query: str,
    headers: str,
) -> None:
    order_id, address = await in_review(patient_api)
    services = services_with(Policy())
    server = uvicorn.Server(uvicorn.Config(create_app(load(ApiSettings), services), port=0, log_config=None))
    serving = asyncio.create_task(server.serve())
    with caplog.at_level(logging.WARNING):
        await until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {address}{query} HTTP/1.1\r\nHost: api\r\n{headers}\r\n".encode())
        await until(lambda: services.feed.waiting == 1)
        left = time.monotonic()
        writer.close()
        await until(lambda: services.feed.waiting == 0)
        assert time.monotonic() - left < 5
        server.should_exit = True
        await serving
    assert caplog.text == ""
    await cancel(patient_api, order_id)


async def test_the_description_has_both_forms_and_what_they_take(api: Api) -> None:
    operation = (await api.http.get("/openapi.json")).json()["paths"]["/orders/{order_id}/events"]["get"]
    assert set(operation["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
    assert "204" in operation["responses"]
    assert {"after", "wait", "Last-Event-ID"} < {each["name"] for each in operation["parameters"]}
    assert all("description" in each for each in operation["parameters"])
