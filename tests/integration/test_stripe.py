"""The Stripe adapter, against a stateful fake that others wrote and a proxy that honours idempotency keys."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cli.embedded import free_port
from orders.contracts import Authorization, CaptureAnswer, VoidAnswer
from orders.errors import OrderError, PartnerMisuse, PartnerUnavailable
from orders.money import Money
from tests.stripe_server import (
    API_KEY,
    INVALID,
    TOO_SMALL,
    Answer,
    Kept,
    Lost,
    StripeServer,
    Trouble,
    authorize_by,
    authorized,
    capture_of,
    error,
    posts,
    refund_of,
    void_of,
)
from workers.gateways.stripe import NEEDS_THE_CUSTOMER, NO_METHOD, StripePayments

# The way that it should go


async def test_money_is_taken_at_once_where_that_is_asked_and_given_back_later(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    request = authorize_by(capture=True)
    reference = authorized(await payments.authorize(request))
    (charge,) = stripe_server.charges(request.key)
    assert (charge["payment_intent"], charge["amount"], charge["captured"]) == (reference, 9999, True)
    assert await payments.capture(capture_of(request)) == CaptureAnswer(reference=reference)
    given_back = await payments.refund(refund_of(request))
    (charge,) = stripe_server.charges(request.key)
    assert [each["id"] for each in charge["refunds"]["data"]] == [given_back.reference]
    assert charge["amount_refunded"] == 9999


async def test_money_is_held_then_taken_then_given_back_in_part(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    request = authorize_by("pm_card_visa")
    reference = authorized(await payments.authorize(request))
    (charge,) = stripe_server.charges(request.key)
    assert charge["captured"] is False
    assert await payments.capture(capture_of(request)) == CaptureAnswer(reference=reference)
    (charge,) = stripe_server.charges(request.key)
    assert charge["captured"] is True
    await payments.refund(refund_of(request, Money(2500, "USD")))
    (charge,) = stripe_server.charges(request.key)
    assert charge["amount_refunded"] == 2500


async def test_the_intent_tells_whose_order_it_is_and_under_which_key_it_was_asked_for(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    request = authorize_by()
    await payments.authorize(request)
    (intent,) = stripe_server.intents(request.key)
    assert intent["metadata"] == {"order_id": request.order_id, "key": request.key}
    assert (intent["currency"], intent["capture_method"]) == ("usd", "manual")


async def test_nothing_is_taken_before_the_intent_that_a_void_can_find_is_made(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    await payments.authorize(authorize_by())
    created, confirmed = stripe_server.asked
    assert not [name for name in created.parameters if name.startswith(("payment_method", "confirm"))]
    assert confirmed.parameters["payment_method_data[card][token]"] == "tok_visa"
    assert created.parameters["automatic_payment_methods[allow_redirects]"] == "never"
    assert confirmed.parameters["error_on_requires_action"] == "true"


async def test_nothing_is_told_of_the_machine_that_asks(payments: StripePayments, stripe_server: StripeServer) -> None:
    await payments.authorize(authorize_by())
    for asked in stripe_server.asked:
        assert "bindings_version" in asked.agent
        assert "platform" not in asked.agent
        assert "telemetry" not in asked.agent


# Keys


async def test_every_post_carries_its_key_and_the_same_one_at_a_repeat(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    request, other = authorize_by(), authorize_by()

    async def all_of_it() -> list[Any]:
        return [
            await payments.authorize(request),
            await payments.capture(capture_of(request)),
            await payments.refund(refund_of(request)),
            await payments.authorize(other),
            await payments.void(void_of(other)),
        ]

    answers = await all_of_it()
    first = posts(stripe_server)
    (called_off,) = stripe_server.intents(other.key)
    assert set(first) == {
        ("payment_intents", request.key),
        ("payment_intents/confirm", f"{request.key}:confirm"),
        ("payment_intents/capture", f"{request.order_id}:capture:1"),
        ("refunds", f"{request.order_id}:refund:1"),
        ("payment_intents", other.key),
        ("payment_intents/confirm", f"{other.key}:confirm"),
        ("payment_intents/cancel", f"{other.order_id}:void:1:{called_off['id']}"),
    }
    stripe_server.asked.clear()
    again = await all_of_it()
    assert again[:3] == answers[:3]
    assert again[3].declined
    assert again[4] == answers[4]
    assert set(posts(stripe_server)) <= set(first)
    assert len(stripe_server.charges(request.key)) == len(stripe_server.charges(other.key)) == 1


@pytest.mark.parametrize("step", ["payment_intents$", "confirm$", "capture$", "refunds$"])
async def test_a_lost_answer_asked_for_again_takes_and_gives_back_once(
    payments: StripePayments, stripe_server: StripeServer, step: str
) -> None:
    request = authorize_by()
    stripe_server.next(f"POST .*{step}", Lost())
    lost = 0
    for ask in (
        lambda: payments.authorize(request),
        lambda: payments.capture(capture_of(request)),
        lambda: payments.refund(refund_of(request)),
    ):
        try:
            await ask()
        except PartnerUnavailable:
            lost += 1
            await ask()
    assert lost == 1
    (charge,) = stripe_server.charges(request.key)
    assert (charge["captured"], charge["amount"], charge["amount_refunded"]) == (True, 9999, 9999)
    assert len(charge["refunds"]["data"]) == 1


async def test_a_void_whose_answer_is_lost_is_told_again(payments: StripePayments, stripe_server: StripeServer) -> None:
    request = authorize_by()
    await payments.authorize(request)
    stripe_server.next("POST .*cancel", Lost())
    with pytest.raises(PartnerUnavailable):
        await payments.void(void_of(request))
    assert await payments.void(void_of(request)) == VoidAnswer(Money(0, "USD"))


async def test_what_is_asked_many_times_at_once_is_taken_once(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    request = authorize_by(capture=True)
    answers = await asyncio.gather(*(payments.authorize(request) for _ in range(8)), return_exceptions=True)
    assert {type(answer) for answer in answers} <= {Authorization, PartnerUnavailable}
    reference = authorized(await payments.authorize(request))
    assert {answer.reference for answer in answers if isinstance(answer, Authorization)} <= {reference}
    assert len(stripe_server.charges(request.key)) == 1


async def test_two_refunds_of_one_payment_are_two(payments: StripePayments, stripe_server: StripeServer) -> None:
    request = authorize_by(capture=True)
    await payments.authorize(request)
    first = refund_of(request, Money(1000, "USD"))
    second = replace(first, key=f"{request.order_id}:refund:2")
    assert await payments.refund(first) != await payments.refund(second)
    (charge,) = stripe_server.charges(request.key)
    assert charge["amount_refunded"] == 2000


async def test_the_same_key_for_another_amount_is_our_mistake(payments: StripePayments) -> None:
    request = authorize_by()
    await payments.authorize(request)
    with pytest.raises(PartnerMisuse, match="idempotency key"):
        await payments.authorize(replace(request, amount=Money(1, "USD")))


# What does not pay


async def test_a_declined_card_is_an_answer_with_the_words_for_the_customer(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    request = authorize_by("tok_chargeCustomerFail")
    declined = Authorization(declined="Your card was declined.")
    assert await payments.authorize(request) == declined
    assert await payments.authorize(request) == declined
    assert (await payments.capture(capture_of(request))).declined
    assert await payments.void(void_of(request)) == VoidAnswer(Money(0, "USD"))


async def test_the_reason_is_the_one_that_stripe_gives(payments: StripePayments, stripe_server: StripeServer) -> None:
    said = "Your card has insufficient funds."
    more = {"code": "card_declined", "decline_code": "insufficient_funds"}
    stripe_server.next("POST .*confirm", error(402, "card_error", said, **more))
    assert await payments.authorize(authorize_by()) == Authorization(declined=said)
    # The ledger could not hold it, and would be asked to for ever.
    stripe_server.next("POST .*confirm", error(402, "card_error", "No\0money", **more))
    assert await payments.authorize(authorize_by()) == Authorization(declined="No\\x00money")


async def test_a_card_that_needs_its_owner_is_declined(payments: StripePayments, stripe_server: StripeServer) -> None:
    method = stripe_server.ask(
        "POST",
        "/v1/payment_methods",
        **{"type": "card", "card[number]": "4000002500003155"},
        **{"card[exp_month]": "12", "card[exp_year]": "2040", "card[cvc]": "123"},
    )
    request = authorize_by(method["id"])
    assert await payments.authorize(request) == Authorization(declined=NEEDS_THE_CUSTOMER)
    assert stripe_server.charges(request.key) == []
    assert stripe_server.asked[-1].parameters["error_on_requires_action"] == "true"


async def test_an_intent_that_waits_for_the_customer_all_the_same_is_declined(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    waiting = {"id": "pi_1", "object": "payment_intent", "status": "requires_action"}
    stripe_server.next("POST .*confirm", Answer(200, waiting))
    assert await payments.authorize(authorize_by()) == Authorization(declined=NEEDS_THE_CUSTOMER)


async def test_a_payment_that_stripe_still_works_on_is_asked_for_again(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    working = {"id": "pi_1", "object": "payment_intent", "status": "processing"}
    stripe_server.next("POST .*confirm", Answer(200, working))
    with pytest.raises(PartnerUnavailable, match="does not know yet"):
        await payments.authorize(authorize_by())


async def test_a_method_that_stripe_does_not_know_is_declined(payments: StripePayments) -> None:
    assert await payments.authorize(authorize_by("pm_unheard_of")) == Authorization(declined=NO_METHOD)


async def test_what_is_no_payment_method_is_not_even_sent(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    assert await payments.authorize(authorize_by("4242424242424242")) == Authorization(declined=NO_METHOD)
    assert stripe_server.asked == []


async def test_a_refund_that_the_bank_sends_back_needs_a_person(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    request = authorize_by(capture=True)
    await payments.authorize(request)
    made = await payments.refund(refund_of(request))
    failed = {"id": made.reference, "object": "refund", "status": "failed", "metadata": {"key": refund_of(request).key}}
    stripe_server.next("GET /v1/refunds", Answer(200, {"object": "list", "data": [failed], "has_more": False}))
    with pytest.raises(PartnerMisuse, match=f"{made.reference} did not reach the customer"):
        await payments.refund(refund_of(request))


# What goes wrong


@pytest.mark.parametrize("step", ["POST /v1/payment_intents$", "POST .*confirm"])
@pytest.mark.parametrize(
    ("trouble", "becomes"),
    [
        (error(429, INVALID, "Too many requests", code="rate_limit"), PartnerUnavailable),
        (error(429, INVALID, "This object cannot be accessed right now", code="lock_timeout"), PartnerUnavailable),
        (error(409, "idempotency_error", "In use", code="idempotency_key_in_use"), PartnerUnavailable),
        (error(500, "api_error", "An unknown error occurred"), PartnerUnavailable),
        (Answer(502, "<html>Bad Gateway</html>"), PartnerUnavailable),
        (Lost(), PartnerUnavailable),
        (TOO_SMALL, PartnerMisuse),
        (error(401, INVALID, f"Invalid API Key provided: {API_KEY}"), PartnerMisuse),
        (error(403, INVALID, f"The provided key '{API_KEY}' does not have access"), PartnerMisuse),
    ],
    ids=["rate", "lock", "in_use", "500", "502", "cut", "400", "401", "403"],
)
async def test_an_error_is_either_to_be_tried_again_or_to_be_mended(
    payments: StripePayments, stripe_server: StripeServer, step: str, trouble: Trouble, becomes: type[OrderError]
) -> None:
    stripe_server.next(step, trouble)
    with pytest.raises(OrderError) as raised:
        await payments.authorize(authorize_by())
    assert type(raised.value) is becomes


async def test_a_wrong_key_for_the_api_is_to_be_mended(stripe_server: StripeServer) -> None:
    stripe_server.next("POST", error(401, INVALID, "Invalid API Key provided: sk_test_****Read"))
    payments = StripePayments("sk_wrong", stripe_server.url, timedelta(seconds=10))
    with pytest.raises(PartnerMisuse, match="does not take our API key"):
        await payments.authorize(authorize_by())
    payments.close()


@pytest.mark.parametrize(
    ("method", "status"),
    [
        *(("capture", status) for status in (400, 401, 403, 409, 429, 500)),
        # What Stripe says of a card at a capture is written for the customer, at a refund it is not.
        *(("refund", status) for status in (400, 402)),
    ],
)
async def test_no_message_and_no_cause_tells_a_secret(
    payments: StripePayments, stripe_server: StripeServer, method: str, status: int
) -> None:
    request = authorize_by(capture=method == "refund")
    intent = authorized(await payments.authorize(request))
    told = f"{API_KEY} tok_secret1 pm_secret2 {intent}_secret_3 No such thing"
    ask: dict[str, Callable[[], Awaitable[object]]] = {
        "capture": lambda: payments.capture(capture_of(request)),
        "refund": lambda: payments.refund(refund_of(request)),
    }
    stripe_server.next(f"POST .*/{method}", error(status, INVALID, told, param="amount"))
    with pytest.raises(OrderError) as raised:
        await ask[method]()
    said = "".join(traceback.format_exception(raised.value))
    assert raised.value.__cause__ is None
    for secret in (API_KEY, "secret1", "secret2", "secret_3", "https://", "http://"):
        assert secret not in said
    assert type(raised.value) is (PartnerMisuse if status < 409 else PartnerUnavailable)
    if status == 400:
        assert "No such thing (code None, parameter amount, req_123)" in str(raised.value)


async def test_an_answer_that_does_not_come_is_waited_for_only_so_long(stripe_server: StripeServer) -> None:
    payments = StripePayments(API_KEY, f"{stripe_server.url}/", timedelta(seconds=0.3))
    request = authorize_by()
    stripe_server.next("POST /v1/payment_intents$", Kept())
    start = time.monotonic()
    with pytest.raises(PartnerUnavailable, match="did not answer"):
        await payments.authorize(request)
    assert 0.25 < time.monotonic() - start < 3
    # Stripe is still at work on it.
    with pytest.raises(PartnerUnavailable, match="409"):
        await payments.authorize(request)
    payments.close()


async def test_a_stripe_that_is_not_there_is_unavailable() -> None:
    payments = StripePayments(API_KEY, f"http://127.0.0.1:{free_port()}/", timedelta(seconds=1))
    with pytest.raises(PartnerUnavailable):
        await payments.authorize(authorize_by())
    payments.close()


# Currencies


@pytest.mark.parametrize(
    ("amount", "sent"),
    [
        (Money(1234, "USD"), "1234"),
        (Money(1234, "HUF"), "1234"),
        (Money(500, "JPY"), "500"),
        (Money(5, "ISK"), "500"),
        (Money(5, "UGX"), "500"),
        (Money(500, "MGA"), "5"),
        (Money(5120, "KWD"), "5120"),
    ],
    ids=str,
)
async def test_an_amount_is_sent_in_the_units_that_stripe_counts_in(
    payments: StripePayments, stripe_server: StripeServer, amount: Money, sent: str
) -> None:
    request = authorize_by(capture=True, amount=amount)
    authorized(await payments.authorize(request))
    assert stripe_server.asked[0].parameters["amount"] == sent
    assert await payments.void(void_of(request)) == VoidAnswer(amount)
    await payments.refund(refund_of(request))
    assert stripe_server.asked[-1].parameters["amount"] == sent


@pytest.mark.parametrize("amount", [Money(550, "MGA"), Money(5124, "KWD"), Money(12345, "CLF")], ids=str)
async def test_an_amount_that_stripe_can_not_take_exactly_is_not_sent(
    payments: StripePayments, stripe_server: StripeServer, amount: Money
) -> None:
    request = authorize_by(amount=amount)
    with pytest.raises(PartnerMisuse, match=f"does not take {amount} {amount.currency}"):
        await payments.authorize(request)
    assert stripe_server.asked == []
    assert await payments.void(void_of(request)) == VoidAnswer(Money(0, amount.currency))
