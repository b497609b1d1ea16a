"""Temporal's web page and command line have decrypted what they show, for who may operate."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest

from orders.ledger.engine import Database
from orders.policy import Policy
from orders.settings import ApiSettings, TemporalSettings, load
from orders.temporal import connect
from tests.api.conftest import http_of, services_of
from tests.keys import key, with_keys

UI, SHOP = "https://temporal.example.com", "https://shop.example.com"
SAID = {"metadata": {"encoding": base64.b64encode(b"json/plain").decode()}, "data": base64.b64encode(b'"J"').decode()}
Opened = Callable[..., Any]


@pytest.fixture
async def opened(temporal_settings: TemporalSettings, database: Database) -> AsyncIterator[Opened]:
    """The API with keys, and with settings; it asks nothing of Temporal."""
    async with AsyncExitStack() as running:

        async def with_these(*keys: str, **settings: str) -> httpx2.AsyncClient:
            client = await connect(with_keys(temporal_settings, *keys))
            services = services_of(client, database, Policy())
            return await running.enter_async_context(http_of(services, settings=load(ApiSettings, **settings)))

        yield with_these


async def test_what_is_encrypted_is_decrypted_and_what_is_not_stays(opened: Opened) -> None:
    http = await opened(key("old"))
    asked = {"json": {"payloads": [SAID]}, "headers": {"X-Namespace": "default"}}
    hidden = (await http.post("/codec/encode", **asked)).json()["payloads"]
    assert base64.b64decode(hidden[0]["metadata"]["encryption-key-id"]) == b"old"
    answer = await http.post("/codec/decode", json={"payloads": [*hidden, SAID]})
    assert (answer.status_code, answer.json()) == (200, {"payloads": [SAID, SAID]})
    assert answer.headers["Cache-Control"] == "no-store"
    assert (await http.post("/codec/decode", json={})).json() == {"payloads": []}


async def test_where_nothing_is_encrypted_it_is_closed(opened: Opened) -> None:
    answer = await (await opened()).post("/codec/decode", json={"payloads": [SAID]})
    assert (answer.status_code, answer.json()["detail"]) == (
        404,
        "nothing is encrypted here: ENCRYPTION_KEYS is not set",
    )


async def test_what_can_not_be_decrypted_is_pointed_at_and_nothing_of_it_is_logged(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    hidden = (await (await opened(key("old"))).post("/codec/encode", json={"payloads": [SAID]})).json()["payloads"]
    http = await opened(key("new"))
    with caplog.at_level(logging.DEBUG):
        answer = await http.post("/codec/decode", json={"payloads": [SAID, *hidden]})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/payloads/1")
    assert "the encryption key 'old' is unavailable" in answer.json()["detail"]
    assert not [record for record in caplog.records if hidden[0]["data"] in record.getMessage()]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 400),
        (b"[]", 422),
        (b'{"payloads": {}}', 422),
        (b'{"payloads": [{"data": "no base64"}]}', 422),
        (b'{"payloads": [{"metadata": {"encoding": 7}}]}', 422),
        (json.dumps({"payloads": [{"data": "A" * 300_000}]}).encode(), 413),
    ],
)
async def test_what_are_no_payloads_is_a_problem(opened: Opened, content: bytes, status: int) -> None:
    http = await opened(key("old"))
    answer = await http.post("/codec/decode", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")


async def test_payloads_without_number_are_refused_and_only_some_of_what_is_wrong_is_listed(opened: Opened) -> None:
    http = await opened(key("old"))
    many = await http.post("/codec/encode", json={"payloads": [{}] * 1001})
    assert (many.status_code, [each["pointer"] for each in many.json()["errors"]]) == (422, ["#/payloads"])
    wrong = (await http.post("/codec/decode", json={"payloads": [0] * 1000})).json()
    assert len(wrong["errors"]) == 100
    assert wrong["detail"].endswith("(and 999 more)")


def preflight(origin: str) -> dict[str, str]:
    headers = "authorization,authorization-extras,content-type,x-namespace"
    asked = {"Method": "POST", "Headers": headers}
    return {"Origin": origin, **{f"Access-Control-Request-{name}": value for name, value in asked.items()}}


async def test_only_temporal_s_own_page_may_have_it_decrypted_and_may_ask_for_nothing_else(opened: Opened) -> None:
    http = await opened(key("old"), CODEC_ORIGINS=UI, API_CORS_ORIGINS=SHOP)
    allowed = await http.options("/codec/decode", headers=preflight(UI))
    assert (allowed.status_code, allowed.headers["Access-Control-Allow-Origin"]) == (200, UI)
    assert "Access-Control-Allow-Credentials" not in allowed.headers
    answer = await http.post("/codec/decode", json={"payloads": []}, headers={"Origin": UI})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, UI)
    for path, origin in [("/codec/decode", SHOP), ("/codec/encode", "https://evil.example.com"), ("/orders", UI)]:
        for answer in (
            await http.options(path, headers=preflight(origin)),
            await http.post(path, json={}, headers={"Origin": origin}),
        ):
            assert "Access-Control-Allow-Origin" not in answer.headers, (path, origin)
    assert (await http.get("/healthz", headers={"Origin": SHOP})).headers["Access-Control-Allow-Origin"] == SHOP


async def test_by_default_no_page_may_have_it_decrypted(opened: Opened) -> None:
    http = await opened(key("old"), API_CORS_ORIGINS=SHOP)
    for origin in (UI, SHOP):
        assert (
            "Access-Control-Allow-Origin"
            not in (await http.options("/codec/decode", headers=preflight(origin))).headers
        )
