"""A partner who does not answer: the order says so, goes on asking, and can be cancelled."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from orders.contracts import PaymentNotice
from orders.errors import PartnerMisuse, PartnerUnavailable
from orders.model import OrderStatus, PaymentStatus, ShipmentStatus
from orders.workflows.order import OrderWorkflow
from tests.examples import TOTAL
from tests.workflows.conftest import (
    A_LONG_WAY,
    ACCEPTED,
    CANCEL,
    IMPATIENT,
    LONG_REVIEW,
    NO_REVIEW,
    ON_DISPATCH,
    QUICKLY_STUCK,
    Shop,
    ask,
)

AWAY = PartnerUnavailable("the partner is away")


async def test_a_refund_that_can_not_be_made_marks_the_order_and_is_made_in_the_end(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place(policy=IMPATIENT)
    await shop.warehouse.at_pick.reached()
    shop.payments.away = AWAY
    cancelling = ask(handle, OrderWorkflow.cancel, CANCEL)
    await shop.until("refund_requested")
    shop.warehouse.at_pick.open()
    await shop.until("stuck")
    order = shop.order
    assert (order.status, order.payment.status) == (OrderStatus.FULFILLING, PaymentStatus.REFUNDING)
    assert order.why_stuck == "refund: the partner is away"
    shop.payments.away = None
    await cancelling
    assert await handle.result() is OrderStatus.CANCELLED
    assert shop.payments.held == 0
    assert shop.order.why_stuck is None
    assert shop.trail.count("refund_requested") == shop.trail.count("stuck") == 1


async def test_an_authorization_without_an_answer_marks_the_order_and_is_answered_in_the_end(shop: Shop) -> None:
    shop.payments.away = AWAY
    handle = await shop.place(policy=IMPATIENT)
    await shop.until("stuck")
    assert shop.order.why_stuck == "authorize: the partner is away"
    assert shop.said("stuck").at - shop.said("payment_requested").at >= QUICKLY_STUCK.stuck_after / 2
    # It is asked anew twice in this time, and says nothing new.
    await asyncio.sleep(2)
    shop.payments.away = None
    assert await handle.result() is OrderStatus.COMPLETED
    assert (shop.trail.count("stuck"), shop.payments.held) == (1, TOTAL)
    assert shop.order.why_stuck is None
    assert set(shop.payments.asked) == {f"{shop.order_id}:authorize:1"}


async def test_a_partner_who_is_away_only_for_a_moment_leaves_no_trace(shop: Shop) -> None:
    shop.payments.lost_answers = 2
    handle = await shop.place()
    assert await handle.result() is OrderStatus.COMPLETED
    assert "stuck" not in shop.trail


async def test_an_order_that_hangs_at_a_partner_who_never_answers_says_so(shop: Shop) -> None:
    shop.payments.at_authorize.close()
    handle = await shop.place(policy=IMPATIENT)
    await shop.until("stuck")
    assert shop.order.why_stuck == "authorize: no answer"
    shop.payments.at_authorize.open()
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.held == TOTAL


async def test_a_partner_who_says_that_the_shop_asks_wrongly_marks_the_order_at_once(shop: Shop) -> None:
    shop.payments.away = PartnerMisuse("the key is wrong")
    patience = replace(QUICKLY_STUCK, stuck_after=timedelta(minutes=5))
    handle = await shop.place(policy=replace(NO_REVIEW, partners=patience))
    await shop.until("stuck")
    assert shop.order.why_stuck == "authorize: the key is wrong"
    assert shop.said("stuck").at - shop.said("payment_requested").at < timedelta(seconds=30)
    shop.payments.away = None
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.order.why_stuck is None


@pytest.mark.parametrize("at", ["payments", "warehouse"])
async def test_an_order_that_is_stuck_can_be_cancelled(shop: Shop, at: str) -> None:
    partner = shop.payments if at == "payments" else shop.warehouse
    partner.away = AWAY
    handle = await shop.place(policy=IMPATIENT)
    await shop.until("stuck")
    cancelling = ask(handle, OrderWorkflow.cancel, CANCEL)
    await shop.until("cancel_requested")
    partner.away = None
    await cancelling
    assert await handle.result() is OrderStatus.CANCELLED
    assert (shop.payments.held, shop.order.stock, shop.order.why_stuck) == (0, {}, None)


async def test_an_order_says_that_its_parcel_is_stuck(shop: Shop) -> None:
    shop.warehouse.away = AWAY
    handle = await shop.place(policy=IMPATIENT)
    await shop.until("stuck")
    assert (shop.order.status, shop.order.why_stuck) == (OrderStatus.FULFILLING, "prepare: the partner is away")
    shop.warehouse.away = None
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.order.why_stuck is None


async def test_an_order_whose_money_can_not_be_taken_because_nobody_answers_is_stuck_and_gets_on(shop: Shop) -> None:
    shop.payments.at_capture.close()
    handle = await shop.place(policy=replace(ON_DISPATCH, partners=QUICKLY_STUCK))
    await shop.until("stuck")
    assert (shop.order.status, shop.order.why_stuck) == (OrderStatus.SHIPPED, "capture: no answer")
    shop.payments.at_capture.open()
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.held == TOTAL


async def test_the_text_of_an_unexpected_error_is_not_shown(shop: Shop) -> None:
    shop.payments.away = RuntimeError("postgres://shop:secret@ledger")
    handle = await shop.place(policy=IMPATIENT)
    await shop.until("stuck")
    assert shop.order.why_stuck == "authorize: an unexpected error (RuntimeError): the worker's log says more"
    shop.payments.away = None
    assert await handle.result() is OrderStatus.COMPLETED


async def test_a_problem_that_the_payment_provider_tells_of_by_itself_marks_the_order_once(shop: Shop) -> None:
    notice = PaymentNotice("ntc_1", "dispute", "ref", problem="the customer disputes the payment", trace_id="e" * 32)
    handle = await shop.place(policy=LONG_REVIEW)
    await shop.until("review_started")
    for _ in range(2):
        await handle.signal(OrderWorkflow.payment_noticed, notice)
    await shop.until("stuck")
    assert shop.order.why_stuck == "the customer disputes the payment"
    noticed = shop.said("payment_noticed")
    assert (noticed.actor, noticed.trace_id) == ("payment provider", "e" * 32)
    assert noticed.data == {"notice": "ntc_1", "kind": "dispute", "reference": "ref"}
    assert await handle.result() is OrderStatus.COMPLETED
    assert (shop.trail.count("payment_noticed"), shop.trail.count("stuck")) == (1, 1)


async def test_a_cancel_while_the_order_is_being_marked_leaves_no_gap_in_the_trail(shop: Shop) -> None:
    shop.payments.away = PartnerMisuse("the key is wrong")
    shop.ledger.refuses = "stuck"
    handle = await shop.place(policy=IMPATIENT, task_timeout=timedelta(seconds=1))
    await shop.until_the_ledger_fails()
    await handle.start_update(OrderWorkflow.cancel, CANCEL, wait_for_stage=ACCEPTED)
    shop.payments.away = shop.ledger.refuses = None
    async with asyncio.timeout(5):
        assert await handle.result() is OrderStatus.CANCELLED


async def test_news_of_a_parcel_leaves_its_order_stuck_in_its_payment(shop: Shop) -> None:
    shop.carrier.delivers_after = A_LONG_WAY
    shop.payments.at_capture.close()
    await shop.place(policy=replace(ON_DISPATCH, partners=QUICKLY_STUCK))
    await shop.until("stuck")
    await shop.carrier_says(ShipmentStatus.IN_TRANSIT)
    await shop.until("in_transit")
    await asyncio.sleep(0.5)
    stuck = shop.order.why_stuck
    shop.payments.at_capture.open()
    assert stuck
