"""Money that is called off at Stripe: whatever had become of it, and however late."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orders.contracts import Authorization, CaptureAnswer, VoidAnswer
from orders.errors import PartnerMisuse, PartnerUnavailable
from orders.money import Money
from tests.stripe_server import (
    OVERTAKEN,
    TOO_SMALL,
    USD_99,
    Overtaken,
    StripeServer,
    authorize_by,
    authorized,
    capture_of,
    error,
    refund_of,
    void_of,
)
from workers.gateways.stripe import StripePayments

# Calling off


async def test_what_is_held_is_let_go_and_nothing_can_be_taken_under_it_later(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    request = authorize_by()
    await payments.authorize(request)
    assert await payments.void(void_of(request)) == VoidAnswer(Money(0, "USD"))
    assert [intent["status"] for intent in stripe_server.intents(request.key)] == ["canceled"]
    assert (await payments.authorize(request)).declined == "the payment was called off, or has lapsed"
    assert (await payments.capture(capture_of(request))).declined
    assert [charge["captured"] for charge in stripe_server.charges(request.key)] == [False]


async def test_what_was_never_asked_for_can_be_called_off_before_it_is(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    request = authorize_by(capture=True)
    assert await payments.void(void_of(request)) == VoidAnswer(Money(0, "USD"))
    assert (await payments.authorize(request)).declined == "the payment was called off, or has lapsed"
    assert stripe_server.charges(request.key) == []


@pytest.mark.parametrize("capture", [True, False])
async def test_a_void_that_comes_too_late_says_what_was_taken_and_leaves_it(
    payments: StripePayments, stripe_server: StripeServer, *, capture: bool
) -> None:
    request = authorize_by(capture=capture)
    await payments.authorize(request)
    await payments.capture(capture_of(request))
    assert await payments.void(void_of(request)) == VoidAnswer(USD_99)
    assert await payments.void(void_of(request)) == VoidAnswer(USD_99)
    (charge,) = stripe_server.charges(request.key)
    assert (charge["captured"], charge["amount_refunded"]) == (True, 0)


async def test_a_capture_that_overtakes_the_void_is_told(payments: StripePayments, stripe_server: StripeServer) -> None:
    request = authorize_by()
    intent = authorized(await payments.authorize(request))
    capture = Overtaken(lambda: stripe_server.ask("POST", f"/v1/payment_intents/{intent}/capture"))
    stripe_server.next("POST .*cancel", capture)
    assert await payments.void(void_of(request)) == VoidAnswer(USD_99)


async def test_a_void_that_overtakes_the_capture_leaves_nothing_to_take(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    request = authorize_by()
    intent = authorized(await payments.authorize(request))
    cancel = Overtaken(lambda: stripe_server.ask("POST", f"/v1/payment_intents/{intent}/cancel"))
    stripe_server.next("POST .*capture", cancel)
    assert (await payments.capture(capture_of(request))).declined


async def test_a_void_that_overtakes_the_confirmation_declines_it(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    request = authorize_by()

    def cancel() -> None:
        (intent,) = stripe_server.intents(request.key)
        stripe_server.ask("POST", f"/v1/payment_intents/{intent['id']}/cancel")

    stripe_server.next("POST .*confirm", Overtaken(cancel))
    assert (await payments.authorize(request)).declined == "the payment was called off, or has lapsed"


async def test_a_void_that_stripe_refuses_though_nothing_has_changed_is_asked_again(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    request = authorize_by()
    await payments.authorize(request)
    stripe_server.next("POST .*cancel", OVERTAKEN)
    with pytest.raises(PartnerUnavailable):
        await payments.void(void_of(request))


async def test_what_was_never_held_can_neither_be_taken_nor_given_back(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    request = authorize_by()
    assert (await payments.capture(capture_of(request))).declined
    with pytest.raises(PartnerMisuse, match="nothing was taken"):
        await payments.refund(refund_of(request))
    assert stripe_server.charges(request.key) == []


async def test_what_is_only_held_can_not_be_given_back(payments: StripePayments, stripe_server: StripeServer) -> None:
    request = authorize_by()
    await payments.authorize(request)
    with pytest.raises(PartnerMisuse, match="nothing was taken"):
        await payments.refund(refund_of(request))
    (charge,) = stripe_server.charges(request.key)
    assert charge["amount_refunded"] == 0


async def test_what_stripe_would_not_even_begin_can_be_called_off(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    request = authorize_by(amount=Money(1, "USD"))
    stripe_server.next("POST /v1/payment_intents$", TOO_SMALL)
    with pytest.raises(PartnerMisuse, match="amount_too_small"):
        await payments.authorize(request)
    assert await payments.void(void_of(request)) == VoidAnswer(Money(0, "USD"))
    assert (await payments.capture(capture_of(request))).declined
    with pytest.raises(PartnerMisuse, match="nothing was taken"):
        await payments.refund(refund_of(request))


async def test_what_another_release_has_asked_for_differently_is_found_by_its_key(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    request = authorize_by()
    reference = authorized(await payments.authorize(request))
    other = replace(request, order_id=f"{request.order_id}-as-written-before")
    assert await payments.capture(capture_of(other)) == CaptureAnswer(reference=reference)


async def test_a_key_that_was_used_for_something_else_is_our_mistake(payments: StripePayments) -> None:
    request = authorize_by()
    await payments.authorize(request)
    with pytest.raises(PartnerMisuse, match="idempotency key"):
        await payments.void(void_of(replace(request, key=f"{request.key}:confirm")))


async def test_a_key_with_a_quotation_mark_is_searched_for_as_it_is(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    request = authorize_by()
    request = replace(request, key=f"{request.key}'\\")
    reference = authorized(await payments.authorize(request))
    stripe_server.let_a_day_pass()
    assert await payments.capture(capture_of(request)) == CaptureAnswer(reference=reference)


# A day later, when Stripe has forgotten the keys


async def test_a_day_later_what_is_held_is_still_found_and_taken_once(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    request = authorize_by()
    reference = authorized(await payments.authorize(request))
    stripe_server.let_a_day_pass()
    assert await payments.capture(capture_of(request)) == CaptureAnswer(reference=reference)
    stripe_server.let_a_day_pass()
    assert await payments.capture(capture_of(request)) == CaptureAnswer(reference=reference)
    assert [charge["captured"] for charge in stripe_server.charges(request.key)] == [True]


async def test_a_day_later_a_refund_asked_for_again_gives_back_once(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    request = authorize_by(capture=True)
    await payments.authorize(request)
    first = await payments.refund(refund_of(request, Money(1000, "USD")))
    stripe_server.let_a_day_pass()
    assert await payments.refund(refund_of(request, Money(1000, "USD"))) == first
    (charge,) = stripe_server.charges(request.key)
    assert charge["amount_refunded"] == 1000


@pytest.mark.parametrize("capture", [True, False])
async def test_a_day_later_a_void_still_ends_it_for_good(
    payments: StripePayments, stripe_server: StripeServer, *, capture: bool
) -> None:
    request = authorize_by(capture=capture)
    await payments.authorize(request)
    stripe_server.let_a_day_pass()
    taken = VoidAnswer(USD_99 if capture else Money(0, "USD"))
    assert await payments.void(void_of(request)) == taken
    assert await payments.void(void_of(request)) == taken
    assert (await payments.authorize(request)).declined
    statuses = sorted(intent["status"] for intent in stripe_server.intents(request.key))
    assert statuses == ["canceled", "succeeded" if capture else "canceled"]


async def test_a_search_that_fails_is_made_good_by_the_next(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    request = authorize_by(capture=True)
    await payments.authorize(request)
    stripe_server.let_a_day_pass()
    stripe_server.next("GET .*search", error(429, "invalid_request_error", "Too many requests", code="rate_limit"))
    with pytest.raises(PartnerUnavailable):
        await payments.void(void_of(request))
    assert await payments.void(void_of(request)) == VoidAnswer(USD_99)


async def test_a_day_later_a_token_that_has_paid_already_leads_to_what_it_paid_for(
    payments: StripePayments, stripe_server: StripeServer
) -> None:
    request = authorize_by(capture=True)
    reference = authorized(await payments.authorize(request))
    stripe_server.let_a_day_pass()
    used = error(400, "invalid_request_error", "You cannot use a token more than once", code="token_already_used")
    stripe_server.next("POST .*confirm", used)
    assert await payments.authorize(request) == Authorization(reference=reference)
    assert len(stripe_server.charges(request.key)) == 1
