"""Every way in which an order can end, over HTTP on the real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from api.bodies import AmendBody
from api.dependencies import Services
from orders.ledger.engine import Database
from orders.policy import CaptureMode, Policy, ReviewMode
from tests.api.conftest import NO_REVIEW, Api, http_of, signed
from tests.examples import new_id

SOON = timedelta(seconds=0.5)
BY_PERSON = Policy(review_mode=ReviewMode.REQUIRED, review_timeout=timedelta(hours=1))


@pytest.fixture
def shop_with(services_with: Callable[[Policy], Services], working: None) -> Callable[[Policy], Any]:
    @asynccontextmanager
    async def opened(policy: Policy) -> AsyncIterator[Api]:
        async with http_of(services_with(policy)) as http:
            yield Api(http)

    return opened


@pytest.fixture
def scarce(database: Database) -> str:
    """An article of which there are two pieces."""
    sku = f"SCARCE-{new_id()[-8:]}"
    statement = text("insert into stock values (:sku, 2, 0)")
    database.run(lambda connection: connection.execute(statement, {"sku": sku}))
    return sku


def stock_of(database: Database, sku: str) -> tuple[int, int]:
    statement = text("select on_hand, reserved from stock where sku = :sku")
    row = database.run(lambda connection: connection.execute(statement, {"sku": sku}).one())
    return row.on_hand, row.reserved


async def carrier_says(api: Api, order_id: str, status: str, event_id: str = "evt_1") -> dict[str, Any]:
    event = {"id": event_id, "shipment": f"{order_id}:1", "status": status, "at": datetime.now(UTC).isoformat()}
    answer = await api.http.post("/webhooks/carrier", **signed(event))
    assert answer.status_code == 200, answer.text
    heard: dict[str, Any] = answer.json()
    return heard


async def last_event(api: Api, order_id: str) -> dict[str, Any]:
    events: list[dict[str, Any]] = (await api.http.get(f"/orders/{order_id}/events")).json()["data"]
    return events[-1]


async def test_a_person_approves_an_order_and_it_goes_on(shop_with: Callable[[Policy], Any]) -> None:
    async with shop_with(BY_PERSON) as api:
        placed = await api.place()
        await api.until(placed["id"], "in_review")
        answer = await api.http.post(f"/orders/{placed['id']}/review", json={"decision": "approve", "note": "known"})
        assert answer.status_code == 200
        await api.until(placed["id"], "completed")
        again = await api.http.post(f"/orders/{placed['id']}/review", json={"decision": "reject"})
        assert again.status_code == 409
        await api.until_event(placed["id"], "refused")
        refused = (await last_event(api, placed["id"]))["data"]
        assert (refused["request"], refused["reason"]) == ("review", "the order is completed: its life is over")


async def test_a_person_rejects_an_order(shop_with: Callable[[Policy], Any]) -> None:
    async with shop_with(BY_PERSON) as api:
        placed = await api.place()
        await api.until(placed["id"], "in_review")
        answer = await api.http.post(f"/orders/{placed['id']}/review", json={"decision": "reject", "note": "a fraud"})
        assert (answer.status_code, answer.json()["status"]) == (200, "rejected")
        assert (await last_event(api, placed["id"]))["data"] == {"reason": "a fraud"}


async def test_an_order_that_nobody_reviews_expires(shop_with: Callable[[Policy], Any]) -> None:
    async with shop_with(replace(BY_PERSON, review_timeout=SOON)) as api:
        placed = await api.place()
        order = await api.until(placed["id"], "expired")
        assert order["payment"]["status"] == "unpaid"


async def test_an_order_above_the_threshold_waits_for_a_person(shop_with: Callable[[Policy], Any]) -> None:
    async with shop_with(replace(NO_REVIEW, review_threshold=9999)) as api:
        small = await api.place()
        large = await api.place(items=[{"sku": "ABC123", "qty": 1, "price": "100.00"}])
        await api.until(small["id"], "completed")
        await api.until(large["id"], "in_review")
        await api.http.post(f"/orders/{large['id']}/cancel")


async def test_an_order_for_an_article_that_the_shop_does_not_know_is_rejected(api: Api) -> None:
    placed = await api.place(items=[{"sku": "NO-SUCH", "qty": 1, "price": 1}])
    await api.until(placed["id"], "rejected")
    assert (await last_event(api, placed["id"]))["data"] == {"reason": "the shop has no NO-SUCH"}


async def test_a_customer_takes_what_there_is_and_cancels_later(
    shop_with: Callable[[Policy], Any], scarce: str, database: Database
) -> None:
    async with shop_with(replace(NO_REVIEW, dispatch_retry_after=timedelta(hours=1))) as api:
        placed = await api.place(
            items=[{"sku": scarce, "qty": 5, "price": 10}],
            shipping_address={"street": "Scott Base", "city": "Ross Island", "country": "AQ"},
        )
        await api.until(placed["id"], "awaiting_customer")
        path = f"/orders/{placed['id']}/amend"
        for wrong in ([{"sku": scarce, "qty": 0}], [{"sku": scarce, "qty": 6}], [{"sku": "ABC123", "qty": 1}]):
            answer = await api.http.post(path, json={"items": wrong})
            assert (answer.status_code, answer.json()["type"]) == (409, "urn:order-lifecycle:problem:conflict")
        assert (await api.trail(placed["id"])).count("refused") == 3
        answer = await api.http.post(path, json={"take_available": True})
        assert (answer.status_code, answer.json()["total"]) == (200, "20.00")
        await api.until_event(placed["id"], "dispatch_failed")
        assert stock_of(database, scarce) == (2, 2)
        cancelled = await api.http.post(f"/orders/{placed['id']}/cancel")
        assert cancelled.json()["payment"]["refunded"] == "20.00"
        assert stock_of(database, scarce) == (2, 0)


ONE = {"sku": "MUG", "qty": 1}


def test_the_quantities_of_one_article_add_up() -> None:
    amendment = AmendBody.model_validate({"items": [ONE, {"sku": "ABC123", "qty": 0}, {**ONE, "qty": 2}]})
    assert amendment.quantities() == {"MUG": 3, "ABC123": 0}


@pytest.mark.parametrize(
    "amendment",
    [
        {},
        {"items": []},
        {"take_available": True, "items": [ONE]},
        {"items": [{**ONE, "qty": -1}]},
    ],
)
async def test_an_amendment_that_says_nothing_or_two_things_is_refused(api: Api, amendment: dict[str, Any]) -> None:
    placed = await api.place()
    answer = await api.http.post(f"/orders/{placed['id']}/amend", json=amendment)
    assert answer.status_code == 422


async def test_a_customer_who_does_not_answer_a_shortage_loses_the_order(
    shop_with: Callable[[Policy], Any], scarce: str, database: Database
) -> None:
    async with shop_with(replace(NO_REVIEW, customer_timeout=SOON)) as api:
        placed = await api.place(items=[{"sku": scarce, "qty": 3, "price": 10}])
        await api.until(placed["id"], "expired")
        assert stock_of(database, scarce) == (2, 0)


async def test_an_order_that_nobody_pays_expires_and_its_stock_is_free(
    shop_with: Callable[[Policy], Any], scarce: str, database: Database
) -> None:
    async with shop_with(replace(NO_REVIEW, payment_timeout=SOON)) as api:
        placed = await api.place(items=[{"sku": scarce, "qty": 2, "price": 10}], payment_method="tok_declined")
        await api.until(placed["id"], "expired")
        assert stock_of(database, scarce) == (2, 0)


async def test_money_is_taken_on_dispatch_where_the_shop_wants_it_so(shop_with: Callable[[Policy], Any]) -> None:
    async with shop_with(replace(NO_REVIEW, payment_capture=CaptureMode.ON_DISPATCH)) as api:
        placed = await api.place()
        order = await api.until(placed["id"], "completed")
        assert (order["payment"]["authorized"], order["payment"]["captured"]) == ("99.99", "99.99")
        trail = await api.trail(placed["id"])
        assert trail.index("payment_authorized") < trail.index("dispatched") < trail.index("payment_captured")


async def test_money_that_can_not_be_taken_after_dispatch_marks_the_order_until_another_method_pays(
    shop_with: Callable[[Policy], Any],
) -> None:
    async with shop_with(replace(NO_REVIEW, payment_capture=CaptureMode.ON_DISPATCH)) as api:
        placed = await api.place(payment_method="tok_capture_declined")
        await api.until_event(placed["id"], "stuck")
        order = (await api.http.get(f"/orders/{placed['id']}")).json()
        assert order["status"] == "shipped"
        assert "offer another payment method" in order["stuck"]
        answer = await api.http.post(f"/orders/{placed['id']}/payment/retry", json={"payment_method": "tok_amex"})
        assert answer.status_code == 200
        order = await api.until(placed["id"], "completed")
        assert (order["payment"]["captured"], order["stuck"]) == ("99.99", None)


async def test_a_parcel_that_no_carrier_takes_fails_its_order_with_everything_undone(
    shop_with: Callable[[Policy], Any], scarce: str, database: Database
) -> None:
    policy = replace(NO_REVIEW, dispatch_attempts=2, dispatch_retry_after=timedelta(seconds=0.1))
    async with shop_with(policy) as api:
        placed = await api.place(
            items=[{"sku": scarce, "qty": 1, "price": 10}],
            shipping_address={"street": "Scott Base", "city": "Ross Island", "country": "AQ"},
        )
        order = await api.until(placed["id"], "failed")
        assert (order["payment"]["captured"], order["payment"]["refunded"]) == ("10.00", "10.00")
        assert (await api.trail(placed["id"])).count("dispatch_failed") == 2
        assert "no carrier goes to AQ" in (await last_event(api, placed["id"]))["data"]["reason"]
        assert stock_of(database, scarce) == (2, 0)


@pytest.mark.parametrize(("news", "on_hand"), [("lost", 1), ("returned", 2)])
async def test_a_parcel_that_does_not_arrive_fails_its_order_and_the_money_comes_back(
    travelling_api: Api, scarce: str, database: Database, news: str, on_hand: int
) -> None:
    api = travelling_api
    placed = await api.place(items=[{"sku": scarce, "qty": 1, "price": 10}])
    await api.until(placed["id"], "shipped")
    assert stock_of(database, scarce) == (1, 0)
    await carrier_says(api, placed["id"], "in_transit", "evt_1")
    assert await carrier_says(api, placed["id"], news, "evt_2") == {"accepted": True, "reason": None}
    order = await api.until(placed["id"], "failed")
    assert (order["payment"]["refunded"], order["shipments"][0]["status"]) == ("10.00", news)
    assert stock_of(database, scarce) == (on_hand, 0)


async def test_carriers_may_tell_things_twice_in_any_order_and_too_late(travelling_api: Api) -> None:
    api = travelling_api
    placed = await api.place()
    await api.until(placed["id"], "shipped")
    for _ in range(2):
        await carrier_says(api, placed["id"], "delivered", "evt_2")
    await api.until(placed["id"], "completed")
    heard = await carrier_says(api, placed["id"], "in_transit", "evt_1")
    assert heard == {"accepted": False, "reason": "the parcel's journey is over: in_transit changes nothing"}
    await api.until_event(placed["id"], "refused")
    last = await last_event(api, placed["id"])
    assert (last["actor"], last["data"]["request"]) == ("carrier", "carrier_event")
    order = (await api.http.get(f"/orders/{placed['id']}")).json()
    assert (order["status"], order["version"]) == ("completed", last["seq"])


async def test_a_parcel_without_news_marks_its_order(travelling: Callable[[Policy], Services]) -> None:
    async with http_of(travelling(replace(NO_REVIEW, delivery_timeout=SOON))) as http:
        api = Api(http)
        placed = await api.place()
        await api.until_event(placed["id"], "stuck")
        order = (await api.http.get(f"/orders/{placed['id']}")).json()
        assert (order["status"], order["stuck"]) == ("shipped", "no news of the parcel for 0:00:00.500000")
        await carrier_says(api, placed["id"], "delivered")
        assert (await api.until(placed["id"], "completed"))["stuck"] is None
