"""Orders over HTTP: placed, followed, changed."""

from __future__ import annotations

import asyncio
import json

import httpx2
import pytest

from tests.api.conftest import Api
from tests.examples import body


async def test_a_placed_order_is_answered_with_its_place_and_is_there_at_once(api: Api) -> None:
    answer = await api.http.post("/orders", json=body(metadata={"campaign": "spring"}))
    assert answer.status_code == 201
    order = answer.json()
    assert answer.headers["Location"] == f"/orders/{order['id']}"
    assert (order["status"], order["total"], order["items"]) == (
        "received",
        "99.99",
        [{"sku": "ABC123", "qty": 1, "price": "99.99"}],
    )
    assert order["metadata"] == {"campaign": "spring"}
    again = await api.http.get(answer.headers["Location"])
    assert again.status_code == 200
    assert again.json()["id"] == order["id"]


async def test_an_order_is_there_before_any_worker_has_seen_it(idle_api: Api) -> None:
    placed = await idle_api.place()
    path = f"/orders/{placed['id']}"
    assert (await idle_api.http.get(path)).json() == placed
    assert (await idle_api.http.get(f"{path}/events")).json() == {"data": [], "next": "0"}


async def test_a_placed_order_is_delivered_and_its_trail_says_how(api: Api) -> None:
    placed = await api.place()
    order = await api.until(placed["id"], "completed")
    assert order["payment"] == {
        "status": "captured",
        "amount": "99.99",
        "authorized": "99.99",
        "captured": "99.99",
        "refunded": "0.00",
    }
    assert [shipment["status"] for shipment in order["shipments"]] == ["delivered"]
    assert order["shipments"][0]["tracking_number"].startswith("TRK_")
    events = (await api.http.get(f"/orders/{placed['id']}/events")).json()["data"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert order["version"] == len(events)
    assert (events[0]["type"], events[-1]["type"]) == ("received", "completed")
    assert events[0]["data"]["items"] == [{"sku": "ABC123", "qty": 1, "price": "99.99"}]
    captured = next(event for event in events if event["type"] == "payment_captured")
    assert captured["data"]["amount"] == "99.99"
    rest = (await api.http.get(f"/orders/{placed['id']}/events", params={"after": 3})).json()["data"]
    assert rest == events[3:]


@pytest.mark.parametrize(
    "price",
    ["0.30000000000000004", '"0.30000000000000004"', "99.9900000000000000000000000001", "1e-400", "1E-99999999"],
)
async def test_a_price_is_judged_by_the_digits_that_were_sent(api: Api, price: str) -> None:
    answer = await post_price(api, price)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "#/items/0/price"


@pytest.mark.parametrize("price", ["1e400", "1E999999999", "-1e9999", "1.5e-5000000000000000000000", "9" * 5000])
async def test_a_price_that_no_shop_has_is_refused_and_costs_nothing(api: Api, price: str) -> None:
    assert (await post_price(api, price)).status_code in (400, 422)


@pytest.mark.parametrize("price", ["0e5000", "0e999999999", "-0.0", "0.00"])
async def test_nothing_is_nothing_however_it_is_written(api: Api, price: str) -> None:
    answer = await post_price(api, price)
    assert (answer.status_code, answer.json()["total"]) == (201, "0.00")


async def post_price(api: Api, price: str) -> httpx2.Response:
    text = json.dumps(body(items=[{"sku": "MUG", "qty": 1, "price": "?"}])).replace('"?"', price)
    return await api.http.post("/orders", content=text, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize(
    ("currency", "price", "total"), [("JPY", "1500", "3000"), ("kwd", "1.234", "2.468"), ("USD", "99.90", "199.80")]
)
async def test_amounts_have_the_places_of_their_currency(api: Api, currency: str, price: str, total: str) -> None:
    text = json.dumps(body(currency=currency, items=[{"sku": "MUG", "qty": 2, "price": 0}]))
    answer = await api.http.post("/orders", content=text.replace('"price": 0', f'"price": {price}'))
    # Without a content type the body is not taken for JSON.
    assert answer.status_code == 422
    answer = await api.http.post(
        "/orders",
        content=text.replace('"price": 0', f'"price": {price}'),
        headers={"Content-Type": "application/json"},
    )
    assert answer.json()["total"] == total


async def test_an_order_that_makes_no_sense_is_taken_and_rejected_with_the_reason(api: Api) -> None:
    placed = await api.place(items=[{"sku": "MUG", "qty": 1, "price": 1}, {"sku": "MUG", "qty": 1, "price": 2}])
    await api.until(placed["id"], "rejected")
    last = (await api.http.get(f"/orders/{placed['id']}/events")).json()["data"][-1]
    assert last["data"] == {"reason": "MUG is listed at two prices"}


async def test_an_order_in_review_is_cancelled_and_a_second_cancel_is_refused(patient_api: Api) -> None:
    placed = await patient_api.place()
    await patient_api.until(placed["id"], "in_review")
    answer = await patient_api.http.post(f"/orders/{placed['id']}/cancel", json={"reason": "ordered twice"})
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    events = (await patient_api.http.get(f"/orders/{placed['id']}/events")).json()["data"]
    assert events[-1]["data"] == {"reason": "ordered twice"}
    again = await patient_api.http.post(f"/orders/{placed['id']}/cancel")
    assert again.status_code == 409
    assert "cancelled" in again.json()["detail"]


async def test_a_cancel_needs_no_body(patient_api: Api) -> None:
    placed = await patient_api.place()
    answer = await patient_api.http.post(f"/orders/{placed['id']}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")


async def test_an_address_is_changed_before_dispatch_and_refused_after_the_end(patient_api: Api) -> None:
    placed = await patient_api.place()
    address = {"street": "1 Market St", "city": "San Francisco", "state": "CA", "country": "us"}
    path = f"/orders/{placed['id']}/shipping-address"
    answer = await patient_api.http.put(path, json=address)
    assert answer.status_code == 200
    assert answer.json()["shipping_address"] == {**address, "country": "US", "postal_code": None}
    await patient_api.http.post(f"/orders/{placed['id']}/cancel")
    refused = await patient_api.http.put(path, json=address)
    assert refused.status_code == 409


async def test_a_declined_order_is_paid_with_another_method(api: Api) -> None:
    placed = await api.place(payment_method="tok_declined")
    order = await api.until(placed["id"], "payment_failed")
    assert order["payment"]["status"] == "declined"
    answer = await api.http.post(f"/orders/{placed['id']}/payment/retry", json={"payment_method": "tok_mastercard"})
    assert answer.status_code == 200
    order = await api.until(placed["id"], "completed")
    assert (order["payment_method"], order["payment"]["captured"]) == ("tok_mastercard", "99.99")


async def test_a_payment_cancelled_in_review_is_on_record_and_cannot_be_offered_anew_yet(patient_api: Api) -> None:
    placed = await patient_api.place()
    await patient_api.until(placed["id"], "in_review")
    answer = await patient_api.http.post(f"/orders/{placed['id']}/payment/cancel", json={"reason": "wrong card"})
    assert (answer.status_code, answer.json()["payment"]["captured"]) == (200, "0.00")
    assert (await patient_api.trail(placed["id"]))[-1] == "payment_cancel_requested"
    retry = await patient_api.http.post(
        f"/orders/{placed['id']}/payment/retry", json={"payment_method": "tok_mastercard"}
    )
    assert retry.status_code == 409
    await patient_api.http.post(f"/orders/{placed['id']}/cancel")


async def test_a_charge_whose_answer_is_lost_is_made_once(api: Api) -> None:
    placed = await api.place(payment_method="tok_answer_lost")
    order = await api.until(placed["id"], "completed")
    assert order["payment"]["captured"] == "99.99"


async def test_what_is_accepted_but_not_done_yet_is_answered_with_202(api_without_payments: Api) -> None:
    api = api_without_payments
    placed = await api.place()
    await api.until_event(placed["id"], "payment_requested")
    answer = await api.http.post(f"/orders/{placed['id']}/cancel", json={"reason": "ordered twice"})
    assert (answer.status_code, answer.json()["payment"]["status"]) == (202, "voiding")
    again = await api.http.put(
        f"/orders/{placed['id']}/shipping-address", json={"street": "1 Market St", "city": "San Francisco"}
    )
    assert (again.status_code, again.json()["detail"]) == (409, "the order is being cancelled")


async def test_twenty_orders_at_once_are_all_delivered(api: Api) -> None:
    placed = await asyncio.gather(*(api.place() for _ in range(20)))
    assert len({order["id"] for order in placed}) == 20
    done = await asyncio.gather(*(api.until(order["id"], "completed") for order in placed))
    assert {order["payment"]["captured"] for order in done} == {"99.99"}


async def test_a_message_that_no_worker_takes_is_told_to_come_again(idle_api: Api) -> None:
    placed = await idle_api.place()
    answer = await idle_api.http.post(f"/orders/{placed['id']}/cancel")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert (await idle_api.http.get(f"/orders/{placed['id']}")).json()["status"] == "received"


@pytest.mark.parametrize(
    "name", ["東京\u3000渋谷", "Zoë\u00a0O\u2019Neill", "\u0645\u06cc\u200c\u0631\u0648", "👩\u200d🚀"]
)
async def test_a_name_is_taken_in_every_script(api: Api, name: str) -> None:
    placed = await api.place(customer_name=name)
    assert (await api.until(placed["id"], "completed"))["customer_name"] == name
