"""What partners tell by themselves: believed when it is signed, and harmless when it comes again."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
import stripe
from pydantic import SecretStr

from api.dependencies import Services
from api.signatures import sign, verify
from orders.errors import Forged
from orders.policy import Policy
from orders.settings import WebhookSettings, load
from tests.api.conftest import CARRIER_SECRETS, STRIPE_SECRET, Api, http_of, signed
from tests.examples import new_id


def event_of(order_id: str, **changes: Any) -> dict[str, Any]:
    at = datetime.now(UTC).isoformat()
    return {"id": "evt_1", "shipment": f"{order_id}:1", "status": "in_transit", "at": at, **changes}


def signed_by_stripe(event: Any, secret: str = STRIPE_SECRET, age: int = 0) -> dict[str, Any]:
    content, at = event.decode() if isinstance(event, bytes) else json.dumps(event), int(time.time()) - age
    signature = stripe.WebhookSignature._compute_signature(f"{at}.{content}", secret)
    return {"content": content, "headers": {"Stripe-Signature": f"t={at},v1={signature}"}}


def stripe_event(order_id: str | None, kind: str = "charge.dispute.created", **thing: Any) -> dict[str, Any]:
    about = {"id": "ch_1", "metadata": {"order_id": order_id} if order_id else {}, **thing}
    return {"id": "evt_s1", "type": kind, "data": {"object": about}}


@pytest.mark.parametrize("secret", CARRIER_SECRETS)
async def test_each_of_two_secrets_is_valid_while_they_are_rotated(patient_api: Api, secret: str) -> None:
    answer = await patient_api.http.post("/webhooks/carrier", **signed(event_of(new_id()), secret))
    assert answer.status_code == 404, "the signature is right, the parcel is not there"


@pytest.mark.parametrize(
    ("forgery", "reason"),
    [
        (lambda event: signed(event, "somebody else's secret"), "does not match"),
        (lambda event: signed(event, age=301), "too long ago"),
        (lambda event: signed(event, age=-301), "too long ago"),
        (lambda event: {"json": event}, "write Webhook-Signature"),
        (lambda event: {**signed(event), "content": json.dumps({**event, "status": "lost"})}, "does not match"),
        (lambda event: {"json": event, "headers": {"Webhook-Signature": "t=1,v1=no"}}, "write Webhook-Signature"),
    ],
)
async def test_a_forged_or_replayed_message_is_refused_logged_and_changes_nothing(
    patient_api: Api, caplog: pytest.LogCaptureFixture, forgery: Any, reason: str
) -> None:
    placed = await patient_api.place()
    order = await patient_api.until(placed["id"], "in_review")
    with caplog.at_level(logging.WARNING):
        answer = await patient_api.http.post("/webhooks/carrier", **forgery(event_of(placed["id"])))
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:order-lifecycle:problem:forged")
    assert reason in answer.json()["detail"]
    assert "POST /webhooks/carrier was refused" in caplog.text
    assert (await patient_api.http.get(f"/orders/{placed['id']}")).json() == order


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"status": "picked"}, "#/status"),
        ({"at": "2026-01-01T00:00:00"}, "#/at"),
        ({"id": ""}, "#/id"),
        ({"colour": "red"}, "#/colour"),
        ({"at": "9999-12-31T23:59:59-14:00"}, "#/at"),
        ({"at": "1999-12-31T23:59:59Z"}, "#/at"),
    ],
)
async def test_a_signed_message_that_makes_no_sense_names_its_field(
    api: Api, changes: dict[str, Any], pointer: str
) -> None:
    answer = await api.http.post("/webhooks/carrier", **signed(event_of(new_id(), **changes)))
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_a_signed_message_that_is_not_an_object_is_refused(api: Api) -> None:
    assert (await api.http.post("/webhooks/carrier", **signed([1]))).status_code == 422


async def test_a_signed_message_in_which_a_name_stands_twice_is_refused(api: Api) -> None:
    sent = signed(event_of(new_id()))
    content = sent["content"].replace(b'"status"', b'"status": "lost", "status"')
    at = sent["headers"]["Webhook-Signature"].split(",")[0].removeprefix("t=")
    signature = sign(at.encode() + b"." + content, SecretStr(CARRIER_SECRETS[0]))
    headers = {**sent["headers"], "Webhook-Signature": f"t={at},v1={signature}"}
    answer = await api.http.post("/webhooks/carrier", content=content, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:order-lifecycle:problem:malformed")


async def test_news_of_a_parcel_that_nobody_has_asked_for_yet_are_of_no_parcel(api_without_payments: Api) -> None:
    api = api_without_payments
    placed = await api.place()
    await api.until_event(placed["id"], "payment_requested")
    answer = await api.http.post("/webhooks/carrier", **signed(event_of(placed["id"])))
    assert (answer.status_code, answer.json()["detail"]) == (404, f"there is no parcel {placed['id']}:1")
    await api.http.post(f"/orders/{placed['id']}/cancel")


async def test_webhooks_without_a_secret_are_closed(services_with: Callable[[Policy], Services]) -> None:
    async with http_of(replace(services_with(Policy()), webhooks=load(WebhookSettings))) as http:
        for path in ("/webhooks/carrier", "/webhooks/payments"):
            answer = await http.post(path, **signed({}))
            assert answer.status_code == 404
            assert "is not set" in answer.json()["detail"]


async def test_news_of_stripe_are_put_on_the_record_once_and_mark_the_order(patient_api: Api) -> None:
    api = patient_api
    placed = await api.place()
    await api.until(placed["id"], "in_review")
    for _ in range(2):
        answer = await api.http.post("/webhooks/payments", **signed_by_stripe(stripe_event(placed["id"])))
        assert (answer.status_code, answer.json()) == (200, {"accepted": True, "reason": None})
    await api.until_event(placed["id"], "stuck")
    await asyncio.sleep(0.2)
    assert (await api.trail(placed["id"])).count("payment_noticed") == 1
    order = (await api.http.get(f"/orders/{placed['id']}")).json()
    assert (order["status"], order["stuck"]) == ("in_review", "the customer disputes the payment")
    await api.http.post(f"/orders/{placed['id']}/cancel")
    late = await api.http.post("/webhooks/payments", **signed_by_stripe(stripe_event(placed["id"])))
    assert late.json() == {
        "accepted": False,
        "reason": "the order is cancelled, and the customer disputes the payment: somebody has to look after it",
    }
    await api.until_event(placed["id"], "refused")


async def test_a_refund_that_failed_at_the_bank_marks_its_order(patient_api: Api) -> None:
    placed = await patient_api.place()
    await patient_api.until(placed["id"], "in_review")
    event = stripe_event(placed["id"], "charge.refund.updated", status="failed")
    await patient_api.http.post("/webhooks/payments", **signed_by_stripe(event))
    await patient_api.until_event(placed["id"], "stuck")
    await patient_api.http.post(f"/orders/{placed['id']}/cancel")


async def test_a_dispute_which_knows_only_its_payment_finds_the_order(travelling_api: Api) -> None:
    api = travelling_api
    placed = await api.place()
    await api.until(placed["id"], "shipped")
    events = (await api.http.get(f"/orders/{placed['id']}/events")).json()["data"]
    (reference,) = [event["data"]["reference"] for event in events if event["type"] == "payment_authorized"]
    dispute = stripe_event(None, id="dp_1", object="dispute", payment_intent=reference)
    answer = await api.http.post("/webhooks/payments", **signed_by_stripe(dispute))
    assert answer.json() == {"accepted": True, "reason": None}
    await api.until_event(placed["id"], "stuck")
    assert (await api.http.get(f"/orders/{placed['id']}")).json()["stuck"] == "the customer disputes the payment"


@pytest.mark.parametrize("signature", ["t=1,v1=é", "é", ""])
async def test_a_signature_that_is_none_is_refused(api: Api, signature: str) -> None:
    headers = {b"Stripe-Signature": signature.encode()}
    answer = await api.http.post("/webhooks/payments", content=b"{}", headers=headers)
    assert answer.status_code == 403


def test_a_tolerance_below_a_second_is_not_none() -> None:
    old = signed_by_stripe(stripe_event(None), age=60)
    with pytest.raises(Forged):
        verify(
            "Stripe-Signature",
            old["headers"]["Stripe-Signature"],
            old["content"].encode(),
            [SecretStr(STRIPE_SECRET)],
            timedelta(seconds=0.5),
        )


async def test_while_one_secret_takes_the_place_of_another_stripe_signs_by_both(api: Api) -> None:
    sent = signed_by_stripe(stripe_event(None))
    at, good = sent["headers"]["Stripe-Signature"].split(",")
    header = f"{at},v1={'0' * 64},{good},v0={'1' * 64}"
    answer = await api.http.post("/webhooks/payments", content=sent["content"], headers={"Stripe-Signature": header})
    assert answer.status_code == 200
    twice = await api.http.post(
        "/webhooks/payments", content=sent["content"], headers={"Stripe-Signature": f"{header},t=1"}
    )
    assert twice.status_code == 403


async def test_news_of_stripe_about_an_order_that_is_not_here_are_let_be(api: Api) -> None:
    answer = await api.http.post("/webhooks/payments", **signed_by_stripe(stripe_event(new_id())))
    assert (answer.status_code, answer.json()["accepted"]) == (200, False)


@pytest.mark.parametrize("forged", [{"secret": "whsec_somebody_elses"}, {"age": 301}])
async def test_what_stripe_has_not_signed_is_refused(api: Api, forged: dict[str, Any]) -> None:
    answer: httpx2.Response = await api.http.post(
        "/webhooks/payments", **signed_by_stripe(stripe_event(new_id()), **forged)
    )
    assert answer.status_code == 403


async def test_news_of_stripe_that_concern_no_order_are_heard_and_let_be(api: Api) -> None:
    answer = await api.http.post("/webhooks/payments", **signed_by_stripe(stripe_event(None)))
    assert answer.json() == {"accepted": False, "reason": "it is of no order of ours"}


def test_the_signature_is_the_one_that_the_documentation_describes() -> None:
    assert sign(b"1767225600.{}", SecretStr("0123456789abcdef")) == (
        "99902517b3069f78750aa0520b0493482454c2d30a579c7acc839f3363ca1b88"
    )
