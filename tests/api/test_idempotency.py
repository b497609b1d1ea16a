"""A request that is sent again under its key is done once."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest

from orders.errors import Overloaded
from tests.api.conftest import Api
from tests.examples import body

REUSED = "urn:order-lifecycle:problem:idempotency-key-reused"


def new_key() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_hex(8)}


async def test_the_same_key_and_body_answer_the_same_order(api: Api) -> None:
    key = new_key()
    first = await api.http.post("/orders", json=body(), headers=key)
    assert first.status_code == 201
    assert "Idempotent-Replayed" not in first.headers
    again = await api.http.post("/orders", json=body(), headers=key)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert (again.json()["id"], again.headers["Location"]) == (first.json()["id"], first.headers["Location"])


async def test_two_requests_at_once_with_one_key_make_one_order(patient_api: Api) -> None:
    key = new_key()
    answers = await asyncio.gather(*(patient_api.http.post("/orders", json=body(), headers=key) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert [answer.headers.get("Idempotent-Replayed") for answer in answers].count(None) == 1


async def test_the_same_key_answers_the_order_as_it_is_now_after_its_end(api: Api) -> None:
    key = new_key()
    placed = (await api.http.post("/orders", json=body(), headers=key)).json()
    await api.until(placed["id"], "completed")
    again = await api.http.post("/orders", json=body(), headers=key)
    assert (again.status_code, again.json()["id"], again.json()["status"]) == (201, placed["id"], "completed")


async def test_the_same_key_answers_an_order_that_temporal_has_forgotten(api: Api, idle_api: Api) -> None:
    key = new_key()
    placed = (await api.http.post("/orders", json=body(), headers=key)).json()
    await api.until(placed["id"], "completed")
    # The same database with a Temporal that has never heard of the order.
    again = await idle_api.http.post("/orders", json=body(), headers=key)
    assert (again.status_code, again.json()["status"]) == (201, "completed")
    assert (await api.trail(placed["id"])).count("received") == 1


async def test_the_same_key_answers_an_order_of_which_no_row_is_written_yet(idle_api: Api) -> None:
    key = new_key()
    first = await idle_api.http.post("/orders", json=body(), headers=key)
    again = await idle_api.http.post("/orders", json=body(), headers=key)
    assert (again.status_code, again.json()) == (201, first.json())


async def test_the_same_order_written_otherwise_is_the_same(api: Api) -> None:
    key = new_key()
    first = await api.http.post("/orders", json=body(), headers=key)
    written = body(items=[{"qty": 1, "price": "99.990", "sku": "ABC123"}], currency="usd")
    again = await api.http.post("/orders", json=written, headers=key)
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])


@pytest.mark.parametrize("is_over", [False, True], ids=["running", "over"])
async def test_the_same_key_with_another_body_is_refused(api: Api, patient_api: Api, is_over: bool) -> None:
    key = new_key()
    placed = (await (api if is_over else patient_api).http.post("/orders", json=body(), headers=key)).json()
    if is_over:
        await api.until(placed["id"], "completed")
    other = await api.http.post("/orders", json=body(customer_name="Jane Doe"), headers=key)
    assert (other.status_code, other.json()["type"]) == (422, REUSED)
    assert placed["id"] in other.json()["detail"]


async def test_the_same_key_with_another_body_is_refused_before_the_first_row(idle_api: Api) -> None:
    key = new_key()
    await idle_api.http.post("/orders", json=body(), headers=key)
    other = await idle_api.http.post("/orders", json=body(customer_name="Jane Doe"), headers=key)
    assert (other.status_code, other.json()["type"]) == (422, REUSED)


async def test_what_was_changed_of_an_order_does_not_make_its_body_another(patient_api: Api) -> None:
    api, key = patient_api, new_key()
    placed = (await api.http.post("/orders", json=body(), headers=key)).json()
    changed = await api.http.put(
        f"/orders/{placed['id']}/shipping-address", json={"street": "1 Market St", "city": "San Francisco"}
    )
    assert changed.status_code == 200
    again = await api.http.post("/orders", json=body(), headers=key)
    assert (again.status_code, again.json()["shipping_address"]["city"]) == (201, "San Francisco")


async def test_a_request_with_two_keys_is_refused(api: Api) -> None:
    headers = [("Idempotency-Key", secrets.token_hex(8)), ("Idempotency-Key", secrets.token_hex(8))]
    for url, sent in (("/orders", body()), (f"/orders/{(await api.place())['id']}/cancel", {})):
        answer = await api.http.post(url, json=sent, headers=headers)
        assert answer.status_code == 422
        assert [error["header"] for error in answer.json()["errors"]] == ["Idempotency-Key"]


async def test_orders_without_a_key_are_as_many_as_the_requests(api: Api) -> None:
    assert (await api.place())["id"] != (await api.place())["id"]


@pytest.mark.parametrize("key", ["", "k" * 256, "clé", "a\tb"], ids=["empty", "long", "not ASCII", "control"])
async def test_a_key_that_can_not_be_one_is_refused(api: Api, key: str) -> None:
    answer = await api.http.post("/orders", json=body(), headers=[(b"Idempotency-Key", key.encode())])
    assert answer.status_code == 422
    assert [error["header"] for error in answer.json()["errors"]] == ["Idempotency-Key"]


@pytest.mark.parametrize("key", ["k", "k" * 255, "with blanks, and ~!"])
async def test_a_key_has_1_to_255_printable_characters(api: Api, key: str) -> None:
    key = key[:1] + secrets.token_hex(8) + key[17:] if len(key) > 16 else key + secrets.token_hex(8)
    answer = await api.http.post("/orders", json=body(), headers={"Idempotency-Key": key})
    assert answer.status_code == 201


MESSAGES: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("PUT", "shipping-address", {"street": "1 Way", "city": "Rome"}, {"street": "2 Way", "city": "Rome"}),
    ("POST", "cancel", {"reason": "ordered twice"}, {"reason": "too dear"}),
    ("POST", "review", {"decision": "approve"}, {"decision": "reject"}),
    ("POST", "payment/cancel", {"reason": "ordered twice"}, {}),
]


@pytest.mark.parametrize(("method", "path", "sent", "other"), MESSAGES, ids=[path for _, path, _, _ in MESSAGES])
async def test_a_message_is_carried_out_once_under_its_key(
    patient_api: Api, method: str, path: str, sent: dict[str, Any], other: dict[str, Any]
) -> None:
    api, key = patient_api, new_key()
    order_id = (await api.place())["id"]
    await api.until(order_id, "in_review")
    url = f"/orders/{order_id}"
    answers = await asyncio.gather(
        *(api.http.request(method, f"{url}/{path}", json=sent, headers=key) for _ in range(3))
    )
    later = await api.http.request(method, f"{url}/{path}", json=sent, headers=key)
    assert {answer.status_code for answer in (*answers, later)} == {200}
    trail = await api.trail(order_id)
    assert "refused" not in trail
    assert len({*trail}) == len(trail), trail


@pytest.mark.parametrize(("method", "path", "sent", "other"), [MESSAGES[0]], ids=["shipping-address"])
async def test_the_key_of_a_message_with_another_body_is_refused(
    patient_api: Api, method: str, path: str, sent: dict[str, Any], other: dict[str, Any]
) -> None:
    api, key = patient_api, new_key()
    url = f"/orders/{(await api.place())['id']}"
    await api.http.request(method, f"{url}/{path}", json=sent, headers=key)
    answer = await api.http.request(method, f"{url}/{path}", json=other, headers=key)
    assert (answer.status_code, answer.json()["type"]) == (422, REUSED)
    otherwise = await api.http.post(f"{url}/cancel", json={}, headers=key)
    assert (otherwise.status_code, otherwise.json()["type"]) == (422, REUSED)
    assert (await api.http.get(url)).json()["shipping_address"]["street"] == sent["street"]


async def test_a_refusal_is_the_answer_to_its_message_under_the_key(patient_api: Api) -> None:
    api, key = patient_api, new_key()
    order_id = (await api.place())["id"]
    first, again = [
        await api.http.post(f"/orders/{order_id}/amend", json={"take_available": True}, headers=key) for _ in range(2)
    ]
    assert (first.status_code, first.json()["detail"]) == (409, again.json()["detail"])
    assert (await api.trail(order_id)).count("refused") == 1


async def test_a_message_that_was_done_is_answered_so_after_the_end_of_the_order(patient_api: Api) -> None:
    api, key = patient_api, new_key()
    order_id = (await api.place())["id"]
    assert (await api.http.post(f"/orders/{order_id}/cancel", json={}, headers=key)).status_code == 200
    await api.until(order_id, "cancelled")
    again = await api.http.post(f"/orders/{order_id}/cancel", json={}, headers=key)
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")
    assert "refused" not in await api.trail(order_id)


async def test_who_can_not_be_told_the_outcome_is_not_told_that_nothing_was_done(
    patient_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = (await patient_api.place())["id"]
    await patient_api.until(order_id, "in_review")

    async def full(*_: Any) -> None:
        raise Overloaded("too many requests wait for PostgreSQL")

    with monkeypatch.context() as patch:
        patch.setattr("orders.ledger.reader.LedgerReader.order", full)
        answer = await patient_api.http.post(f"/orders/{order_id}/cancel", json={})
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (503, "unavailable")
    assert "look whether it was done" in answer.json()["detail"]
    await patient_api.until(order_id, "cancelled")


async def test_a_message_after_the_end_is_put_on_record_once_under_its_key(api: Api) -> None:
    key, order_id = new_key(), (await api.place())["id"]
    await api.until(order_id, "completed")
    answers = [await api.http.post(f"/orders/{order_id}/cancel", json={}, headers=key) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {409}
    await api.until_event(order_id, "refused")
    await api.http.post(f"/orders/{order_id}/cancel", json={}, headers=key)
    await asyncio.sleep(0.3)
    assert (await api.trail(order_id)).count("refused") == 1
