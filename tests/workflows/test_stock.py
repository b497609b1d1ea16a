"""The goods that an order asks for: there, too few of them, or unknown to the shop."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from orders.contracts import AmendOrder, CancelPayment
from orders.details import OrderLine
from orders.model import OrderStatus, PaymentStatus
from orders.order import Holding
from orders.policy import Policy
from orders.workflows.order import OrderWorkflow
from tests.examples import DETAILS, TOTAL
from tests.workflows.conftest import (
    BY_PERSON,
    CANCEL,
    DECLINED,
    LONG_REVIEW,
    NO_REVIEW,
    OTHER_CARD,
    OrderHandle,
    Shop,
    ask,
    refusal,
)

TRACE = "d" * 32
LESS = AmendOrder({"MUG": 1}, "ann", TRACE)
SMALLER = TOTAL - 1250


async def short(shop: Shop, mugs: int = 1, policy: Policy = NO_REVIEW) -> OrderHandle:
    """Place an order of two mugs, of which there are less."""
    shop.ledger.stock["MUG"] = mugs
    handle = await shop.place(policy=policy)
    await shop.until("stock_short")
    return handle


@pytest.mark.parametrize("policy", [NO_REVIEW, LONG_REVIEW, BY_PERSON], ids=["off", "timer", "required"])
async def test_an_order_of_what_the_shop_does_not_know_is_rejected_before_anybody_looks_at_it(
    shop: Shop, policy: Policy
) -> None:
    shop.ledger.stock["MUG"] = None
    handle = await shop.place(policy=policy)
    assert await handle.result() is OrderStatus.REJECTED
    assert (shop.last.data, shop.last.actor) == ({"reason": "the shop has no MUG"}, "system")
    assert shop.last.at - shop.said("received").at < timedelta(hours=1)
    assert (shop.payments.asked.total(), shop.order.stock) == (0, {})


async def test_the_goods_of_an_order_are_held_before_its_money_is_asked_for(shop: Shop) -> None:
    shop.payments.at_authorize.close()
    handle = await shop.place()
    await shop.payments.at_authorize.reached()
    assert shop.order.stock == {"ABC123": Holding(held=1), "MUG": Holding(held=2)}
    shop.payments.at_authorize.open()
    await handle.result()
    assert shop.order.stock == {"ABC123": Holding(taken=1), "MUG": Holding(taken=2)}
    assert "stock_released" not in shop.trail


async def test_an_order_of_which_something_is_short_waits_and_says_what_is_wanted_and_what_there_is(shop: Shop) -> None:
    handle = await short(shop)
    order, event = shop.order, shop.said("stock_short")
    assert order.status is OrderStatus.AWAITING_CUSTOMER
    assert event.data["short"] == [{"sku": "MUG", "wanted": 2, "available": 1}]
    assert datetime.fromisoformat(event.data["until"]) == order.waiting_until
    assert order.waiting_until
    assert timedelta(days=3) - timedelta(minutes=1) < order.waiting_until - event.at <= timedelta(days=3)
    assert (order.stock, shop.payments.asked.total()) == ({}, 0)
    await handle.execute_update(OrderWorkflow.cancel, CANCEL)
    assert await handle.result() is OrderStatus.CANCELLED


@pytest.mark.parametrize(
    ("amendment", "left", "total"),
    [
        (LESS, {"ABC123": 1, "MUG": 1}, SMALLER),
        (replace(LESS, quantities=None), {"ABC123": 1, "MUG": 1}, SMALLER),
        (replace(LESS, quantities={"MUG": 0}), {"ABC123": 1}, 9999),
        (replace(LESS, quantities={"MUG": 1, "ABC123": 0}), {"MUG": 1}, 1250),
    ],
    ids=["less", "what there is", "without it", "without the other"],
)
async def test_an_order_goes_on_with_the_smaller_quantities_and_costs_less(
    shop: Shop, amendment: AmendOrder, left: dict[str, int], total: int
) -> None:
    handle = await short(shop)
    await handle.execute_update(OrderWorkflow.amend, amendment)
    amended = shop.said("amended")
    assert {line["sku"]: line["qty"] for line in amended.data["lines"]} == left
    assert (amended.actor, amended.trace_id) == ("ann", TRACE)
    assert await handle.result() is OrderStatus.COMPLETED
    order = shop.order
    assert (order.details.quantities, order.details.total.amount) == (left, total)
    assert (shop.payments.held, order.payment.captured) == (total, total)
    assert order.stock == {sku: Holding(taken=qty) for sku, qty in left.items()}


@pytest.mark.parametrize(
    ("quantities", "reason"),
    [
        ({"ABC123": 0, "MUG": 0}, "cancel it instead"),
        ({"CUP": 1}, "CUP was not ordered"),
        ({"MUG": 3}, "3 pieces of MUG are not between 0 and the 2 ordered"),
        ({"MUG": -1}, "-1 pieces of MUG are not between 0 and the 2 ordered"),
    ],
    ids=["empty", "another article", "more", "negative"],
)
async def test_an_amendment_that_cannot_be_is_refused_on_record_and_the_order_waits_on(
    shop: Shop, quantities: dict[str, int], reason: str
) -> None:
    handle = await short(shop)
    said = await refusal(ask(handle, OrderWorkflow.amend, replace(LESS, quantities=quantities)))
    assert reason in said
    assert (shop.last.type, shop.last.data) == ("refused", {"request": "amend", "reason": said})
    assert (shop.last.actor, shop.last.trace_id) == ("ann", TRACE)
    assert (shop.order.status, shop.order.details) == (OrderStatus.AWAITING_CUSTOMER, DETAILS)
    await handle.execute_update(OrderWorkflow.amend, LESS)
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.held == SMALLER


async def test_an_amendment_that_takes_what_there_is_of_an_order_of_which_there_is_nothing_is_refused(
    shop: Shop,
) -> None:
    shop.ledger.stock["MUG"] = 0
    handle = await shop.place(replace(DETAILS, lines=(OrderLine("MUG", 2, 1250),)))
    await shop.until("stock_short")
    assert "cancel it instead" in await refusal(
        ask(handle, OrderWorkflow.amend, replace(LESS, quantities=None)),
    )
    assert await handle.result() is OrderStatus.EXPIRED


async def test_an_amendment_that_is_not_enough_has_the_order_wait_again(shop: Shop) -> None:
    handle = await short(shop, mugs=1)
    shop.ledger.stock["ABC123"] = 0
    await handle.execute_update(OrderWorkflow.amend, LESS)
    await shop.until("stock_short", times=2)
    assert shop.order.status is OrderStatus.AWAITING_CUSTOMER
    assert shop.said("stock_short").data["short"] == [{"sku": "ABC123", "wanted": 1, "available": 0}]
    await handle.execute_update(OrderWorkflow.amend, replace(LESS, quantities=None))
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.held == 1250


async def test_an_article_that_the_shop_gave_up_meanwhile_rejects_an_order_that_waits(shop: Shop) -> None:
    handle = await short(shop)
    shop.ledger.stock["ABC123"] = None
    await handle.execute_update(OrderWorkflow.amend, LESS)
    assert await handle.result() is OrderStatus.REJECTED
    assert shop.last.data == {"reason": "the shop has no ABC123"}


async def test_an_amendment_is_refused_when_nothing_is_short(shop: Shop) -> None:
    handle = await shop.place(policy=LONG_REVIEW)
    await shop.until("review_started")
    assert (
        await refusal(ask(handle, OrderWorkflow.amend, LESS))
        == "the order is in_review: it waits for no amendment, or not any more"
    )
    assert shop.said("refused").data["request"] == "amend"
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.held == TOTAL


async def test_a_shortage_is_found_after_the_review(shop: Shop) -> None:
    handle = await short(shop, policy=replace(LONG_REVIEW, review_timeout=timedelta(seconds=0.1)))
    assert shop.trail[2:5] == ["review_started", "review_passed", "stock_short"]
    await handle.execute_update(OrderWorkflow.amend, LESS)
    assert await handle.result() is OrderStatus.COMPLETED


async def test_an_order_of_which_something_is_short_expires_when_the_customer_does_not_answer(shop: Shop) -> None:
    shop.ledger.stock["MUG"] = 1
    handle = await shop.place()
    assert await handle.result() is OrderStatus.EXPIRED
    assert shop.trail == ["received", "validated", "stock_short", "expired"]
    assert shop.last.data == {"reason": "no answer to the shortage within 3 days, 0:00:00"}
    assert shop.last.at - shop.said("stock_short").at >= timedelta(days=3)
    assert shop.payments.asked.total() == 0


async def test_an_order_of_which_something_is_short_can_be_cancelled(shop: Shop) -> None:
    handle = await short(shop)
    await handle.execute_update(OrderWorkflow.cancel, CANCEL)
    assert await handle.result() is OrderStatus.CANCELLED
    assert shop.trail[-2:] == ["cancel_requested", "cancelled"]
    assert shop.payments.asked.total() == 0


async def test_a_payment_called_off_while_something_is_short_is_not_taken_after_the_amendment(shop: Shop) -> None:
    handle = await short(shop)
    await handle.execute_update(OrderWorkflow.cancel_payment, CancelPayment(None, "ann"))
    await handle.execute_update(OrderWorkflow.amend, LESS)
    await shop.until("payment_cancelled")
    assert (shop.order.payment.status, shop.payments.asked.total()) == (PaymentStatus.CANCELLED, 0)
    await handle.execute_update(OrderWorkflow.retry_payment, OTHER_CARD)
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.held == SMALLER


@pytest.mark.parametrize("gate", ["payment", "parcel"])
async def test_the_goods_of_an_order_cancelled_before_it_leaves_go_back_on_sale(shop: Shop, gate: str) -> None:
    held = shop.payments.at_authorize if gate == "payment" else shop.warehouse.at_pick
    held.close()
    handle = await shop.place()
    await held.reached()
    cancelling = ask(handle, OrderWorkflow.cancel, CANCEL)
    await shop.until("refunded")
    held.open()
    await cancelling
    assert await handle.result() is OrderStatus.CANCELLED
    assert shop.trail[-2:] == ["stock_released", "cancelled"]
    assert shop.order.stock == {}


async def test_the_goods_of_an_order_that_is_not_paid_in_time_go_back_on_sale(shop: Shop) -> None:
    handle = await shop.place(DECLINED)
    assert await handle.result() is OrderStatus.EXPIRED
    assert shop.trail[-2:] == ["stock_released", "expired"]
    assert shop.order.stock == {}
