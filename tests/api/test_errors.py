"""Bad input: a clear problem that names the field, nothing started, nothing written."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest
from sqlalchemy import func, select
from temporalio.client import Client

from orders.ledger.engine import Database
from orders.ledger.tables import orders
from tests.api.conftest import Api
from tests.examples import body

NOBODY = "ord_000000000000000000000000"
ITEM = {"sku": "ABC123", "qty": 1, "price": 99.99}
ADDRESS = {"street": "123 Main St", "city": "Anytown", "state": "CA"}


def item(**changes: Any) -> list[dict[str, Any]]:
    return [{**ITEM, **changes}]


BAD_BODIES: list[tuple[dict[str, Any], str]] = [
    ({"items": []}, "#/items"),
    ({"items": [ITEM] * 501}, "#/items"),
    ({"items": "ABC123"}, "#/items"),
    ({"items": item(qty=0)}, "#/items/0/qty"),
    ({"items": item(qty=-1)}, "#/items/0/qty"),
    ({"items": item(qty=1.5)}, "#/items/0/qty"),
    ({"items": item(qty=1.5)}, "#/items/0/qty"),
    ({"items": item(qty="1")}, "#/items/0/qty"),
    ({"items": item(qty=True)}, "#/items/0/qty"),
    ({"items": item(price=-0.01)}, "#/items/0/price"),
    ({"items": item(price=1.999)}, "#/items/0/price"),
    ({"items": item(price="much")}, "#/items/0/price"),
    ({"items": item(price="1_0")}, "#/items/0/price"),
    ({"items": item(price=" 1.5 ")}, "#/items/0/price"),
    ({"items": item(price="١")}, "#/items/0/price"),
    ({"items": item(price=None)}, "#/items/0/price"),
    ({"items": item(price=10**9 + 1)}, "#/items/0/price"),
    ({"items": item(price=10**9, qty=100_000) * 1000}, "#/items"),
    ({"items": item(sku="")}, "#/items/0/sku"),
    ({"items": item(sku="A B")}, "#/items/0/sku"),
    ({"items": item(colour="red")}, "#/items/0/colour"),
    ({"currency": "JPY", "items": item(price=1.5)}, "#/items/0/price"),
    ({"currency": "ABC"}, "#/currency"),
    ({"currency": "XAU"}, "#/currency"),
    ({"currency": "DOLLAR"}, "#/currency"),
    ({"customer_email": "john"}, "#/customer_email"),
    ({"customer_email": "john@"}, "#/customer_email"),
    ({"customer_email": "John <john@example.com>"}, "#/customer_email"),
    ({"customer_email": f"{'j' * 300}@example.com"}, "#/customer_email"),
    ({"customer_name": ""}, "#/customer_name"),
    ({"customer_name": "   "}, "#/customer_name"),
    ({"customer_name": "John\u0000Doe"}, "#/customer_name"),
    ({"customer_name": "John\nDoe"}, "#/customer_name"),
    ({"metadata": {"k\n": "v"}}, "#/metadata/k\n"),
    ({"metadata": {"k": "v\n"}}, "#/metadata/k"),
    ({"items": item(price="9.99\n")}, "#/items/0/price"),
    ({"customer_name": "John\u202eeoD"}, "#/customer_name"),
    ({"customer_name": "\ufeff"}, "#/customer_name"),
    ({"customer_name": "J" * 201}, "#/customer_name"),
    ({"customer_name": 7}, "#/customer_name"),
    ({"shipping_address": {**ADDRESS, "street": ""}}, "#/shipping_address/street"),
    ({"shipping_address": {"street": "x"}}, "#/shipping_address/city"),
    ({"shipping_address": {**ADDRESS, "country": "USA"}}, "#/shipping_address/country"),
    ({"shipping_address": {**ADDRESS, "country": "ß"}}, "#/shipping_address/country"),
    ({"shipping_address": {**ADDRESS, "planet": "Mars"}}, "#/shipping_address/planet"),
    ({"shipping_address": None}, "#/shipping_address"),
    ({"payment_method": "tok visa"}, "#/payment_method"),
    ({"metadata": {"a": 1}}, "#/metadata/a"),
    ({"metadata": {str(number): "x" for number in range(51)}}, "#/metadata"),
    ({"coupon": "SPRING"}, "#/coupon"),
    ({"a/b~c": 1}, "#/a~1b~0c"),
]


async def count(client: Client, database: Database) -> tuple[int, int]:
    """Rows and workflows, once Temporal's count of earlier tests' workflows has come to rest."""
    found = await count_now(client, database)
    for _ in range(20):
        await asyncio.sleep(0.3)
        before, found = found, await count_now(client, database)
        if before == found:
            break
    return found


async def count_now(client: Client, database: Database) -> tuple[int, int]:
    with database.engine.connect() as connection:
        rows = connection.execute(select(func.count()).select_from(orders)).scalar_one()
    return rows, (await client.count_workflows("")).count


@pytest.mark.parametrize(("change", "pointer"), BAD_BODIES, ids=[pointer for _, pointer in BAD_BODIES])
async def test_a_bad_field_is_named(api: Api, change: dict[str, Any], pointer: str) -> None:
    answer = await api.http.post("/orders", json=body(**change))
    assert answer.status_code == 422, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:order-lifecycle:problem:validation"
    assert pointer in [error["pointer"] for error in problem["errors"]]


@pytest.mark.parametrize("missing", ["customer_name", "customer_email", "items", "shipping_address"])
async def test_a_missing_field_is_named(api: Api, missing: str) -> None:
    sent = body()
    del sent[missing]
    answer = await api.http.post("/orders", json=sent)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"pointer": f"#/{missing}", "detail": "Field required"}]


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"",
        b"not json",
        b"\xff\xfe",
        b'{"customer_name": NaN}',
        json.dumps(body()).replace('"customer_name"', '"customer_name": "Jane Doe", "customer_name"').encode(),
        b"[" * 20_000,
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
    ids=["cut short", "empty", "words", "no UTF-8", "NaN", "a name twice", "deep", "a huge number"],
)
async def test_what_is_not_json_is_refused(api: Api, content: bytes) -> None:
    answer = await api.http.post("/orders", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == (422 if content == b"" else 400), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "Traceback" not in answer.text


async def test_a_number_that_would_fill_the_memory_is_refused_at_once(api: Api) -> None:
    for huge in ("1e99999999", "1e-99999999", "-1e999999"):
        for path, field in (("/orders", "qty"), ("/orders", "price"), (f"/orders/{NOBODY}/amend", "qty")):
            text = json.dumps({**body(), "items": [ITEM]}).replace(f'"{field}": {ITEM[field]}', f'"{field}": {huge}')
            answer = await asyncio.wait_for(
                api.http.post(path, content=text, headers={"Content-Type": "application/json"}), 5
            )
            assert answer.status_code == 422, (huge, field)


@pytest.mark.parametrize("kind", [None, "application/x-www-form-urlencoded", "text/plain"])
async def test_a_body_that_is_not_said_to_be_json_is_refused(api: Api, kind: str | None) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = await api.http.post("/orders", content=json.dumps(body()), headers=headers)
    assert answer.status_code == 415
    assert answer.json()["type"] == "urn:order-lifecycle:problem:unsupported-media-type"
    assert "Content-Type: application/json" in answer.json()["detail"]


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip"])
async def test_a_body_that_is_packed_is_refused(api: Api, coding: str) -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    for content in (bomb, json.dumps(body()).encode()):
        headers = {"Content-Type": "application/json", "Content-Encoding": coding}
        answer = await api.http.post("/orders", content=content, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (
            415,
            "urn:order-lifecycle:problem:unsupported-media-type",
        )
        assert "Content-Encoding" in answer.json()["detail"]


async def test_json_may_have_a_charset_and_a_type_of_its_own(api: Api) -> None:
    for kind in ("application/json; charset=utf-8", "application/vnd.shop+json", "Application/JSON"):
        answer = await api.http.post("/orders", content=json.dumps(body()), headers={"Content-Type": kind})
        assert answer.status_code == 201, kind


async def test_a_body_that_is_too_large_is_refused(api: Api) -> None:
    sent = json.dumps(body(metadata={"a": "x" * 300_000})).encode()
    answer = await api.http.post("/orders", content=sent, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:order-lifecycle:problem:too-large"


async def test_a_body_that_is_too_large_is_refused_although_its_length_is_not_told(api: Api) -> None:
    async def pieces() -> Any:
        for _ in range(400):
            yield b" " * 1024

    answer = await api.http.post("/orders", content=pieces(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("GET", f"/orders/{NOBODY}", None),
        ("GET", f"/orders/{NOBODY}/events", None),
        ("POST", f"/orders/{NOBODY}/cancel", {}),
        ("POST", f"/orders/{NOBODY}/payment/cancel", {}),
        ("POST", f"/orders/{NOBODY}/payment/retry", {"payment_method": "tok_visa"}),
        ("PUT", f"/orders/{NOBODY}/shipping-address", ADDRESS),
        ("GET", "/orders/nobody", None),
        ("GET", "/orders/%00", None),
        ("GET", "/orders/ord_%0a", None),
        ("POST", "/orders/..%2fhealthz/cancel", {}),
        ("GET", "/nothing", None),
    ],
)
async def test_an_unknown_order_is_not_found(api: Api, method: str, path: str, sent: Any) -> None:
    answer = await api.http.request(method, path, json=sent)
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:order-lifecycle:problem:not-found"


@pytest.mark.parametrize(
    ("method", "path", "sent", "pointer"),
    [
        ("POST", f"/orders/{NOBODY}/cancel", {"why": "?"}, "#/why"),
        ("POST", f"/orders/{NOBODY}/cancel", {"reason": "r" * 501}, "#/reason"),
        ("POST", f"/orders/{NOBODY}/payment/retry", {}, "#/payment_method"),
        ("PUT", f"/orders/{NOBODY}/shipping-address", {"street": "x"}, "#/city"),
    ],
)
async def test_a_bad_message_is_named(api: Api, method: str, path: str, sent: Any, pointer: str) -> None:
    answer = await api.http.request(method, path, json=sent)
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


@pytest.mark.parametrize("after", ["-1", "99999999999", "one"])
async def test_a_bad_parameter_is_named(api: Api, after: str) -> None:
    answer = await api.http.get(f"/orders/{NOBODY}/events", params={"after": after})
    assert answer.status_code == 422
    assert [error["parameter"] for error in answer.json()["errors"]] == ["after"]


async def test_a_wrong_method_is_a_problem_too(api: Api) -> None:
    answer = await api.http.delete("/orders/x")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert (await api.http.delete("/orders")).headers["Allow"] == "GET, HEAD, POST"
    assert answer.json()["type"] == "urn:order-lifecycle:problem:method-not-allowed"


async def test_nothing_is_started_and_nothing_written_by_any_of_them(
    api: Api, client: Client, database: Database
) -> None:
    before = await count(client, database)
    for change, _ in BAD_BODIES:
        await api.http.post("/orders", json=body(**change))
    assert await count(client, database) == before
