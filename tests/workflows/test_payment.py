"""An order's money: declined, cancelled, offered anew, given back."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from orders.contracts import CancelPayment, RetryPayment
from orders.model import OrderStatus
from orders.workflows.order import OrderWorkflow
from tests.examples import TOTAL
from tests.workflows.conftest import ACCEPTED, CANCEL, DECLINED, LONG_REVIEW, Shop, ask, refusal


async def test_a_declined_order_waits_for_another_payment_method_and_goes_on_with_it(shop: Shop) -> None:
    handle = await shop.place(DECLINED)
    await shop.until("payment_declined")
    assert shop.order.status is OrderStatus.PAYMENT_FAILED
    await handle.execute_update(OrderWorkflow.retry_payment, RetryPayment("tok_mastercard", "ann"))
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.taken == {f"{shop.order_id}:authorize:2": TOTAL}


async def test_a_declined_order_can_be_declined_again_and_be_cancelled(shop: Shop) -> None:
    handle = await shop.place(DECLINED)
    await shop.until("payment_declined")
    await handle.execute_update(OrderWorkflow.retry_payment, RetryPayment("tok_declined", "ann"))
    await shop.until("payment_declined", times=2)
    await handle.execute_update(OrderWorkflow.cancel, CANCEL)
    assert await handle.result() is OrderStatus.CANCELLED
    assert shop.payments.held == 0
    assert "refund_requested" not in shop.trail


async def test_a_declined_order_expires_when_nobody_offers_another_payment_method(shop: Shop) -> None:
    handle = await shop.place(DECLINED)
    assert await handle.result() is OrderStatus.EXPIRED
    assert "no payment within 7 days" in shop.ledger.trails[shop.order_id][-1].data["reason"]


async def test_a_payment_cancelled_in_review_is_not_taken_until_there_is_another_method(shop: Shop) -> None:
    handle = await shop.place(policy=LONG_REVIEW)
    await shop.until("review_started")
    await handle.execute_update(OrderWorkflow.cancel_payment, CancelPayment("wrong card", "ann"))
    assert shop.order.status is OrderStatus.IN_REVIEW
    await shop.environment.sleep(timedelta(days=1, minutes=1))
    await shop.until("payment_cancelled")
    assert shop.payments.asked.total() == 0
    await handle.execute_update(OrderWorkflow.retry_payment, RetryPayment("tok_amex", "ann"))
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.held == TOTAL


async def test_a_payment_cancelled_while_packing_comes_back_and_the_order_ships_once_it_is_paid_anew(
    shop: Shop,
) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    cancelling = ask(handle, OrderWorkflow.cancel_payment, CancelPayment("wrong card", "ann"))
    await shop.until("refunded")
    shop.warehouse.at_pick.open()
    await cancelling
    assert (shop.order.status, shop.payments.held) == (OrderStatus.PAYMENT_FAILED, 0)
    assert "there is nothing to cancel" in await refusal(
        ask(handle, OrderWorkflow.cancel_payment, CancelPayment(None, "ann"))
    )
    await handle.execute_update(OrderWorkflow.retry_payment, RetryPayment("tok_amex", "ann"))
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.held == TOTAL
    assert set(shop.carrier.labels) == {f"{shop.order_id}:2"}


async def test_a_second_offer_is_refused_while_the_first_is_being_tried(shop: Shop) -> None:
    handle = await shop.place(DECLINED)
    await shop.until("payment_declined")
    shop.payments.at_authorize.close()
    await handle.execute_update(OrderWorkflow.retry_payment, RetryPayment("tok_amex", "ann"))
    await shop.payments.at_authorize.reached()
    assert "waits for no other payment method" in await refusal(
        ask(handle, OrderWorkflow.retry_payment, RetryPayment("tok_visa", "ann"))
    )
    shop.payments.at_authorize.open()
    assert await handle.result() is OrderStatus.COMPLETED


async def test_a_lost_answer_is_asked_again_under_the_same_key(shop: Shop) -> None:
    shop.payments.lost_answers = 2
    handle = await shop.place()
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.asked == {f"{shop.order_id}:authorize:1": 3}
    assert shop.payments.held == TOTAL


async def test_a_refund_is_tried_until_it_is_made(shop: Shop) -> None:
    shop.payments.refund_failures = 3
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    await handle.start_update(OrderWorkflow.cancel, CANCEL, wait_for_stage=ACCEPTED)
    await shop.until("refund_requested")
    shop.warehouse.at_pick.open()
    assert await handle.result() is OrderStatus.CANCELLED
    assert shop.payments.asked[f"{shop.order_id}:refund:1"] == 4
    assert shop.payments.held == 0


async def test_two_cancellations_of_a_payment_at_once_cancel_it_once(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    both = [ask(handle, OrderWorkflow.cancel_payment, CancelPayment(None, "ann")) for _ in range(2)]
    await shop.until("refunded")
    shop.warehouse.at_pick.open()
    await asyncio.gather(*both, return_exceptions=True)
    await handle.execute_update(OrderWorkflow.retry_payment, RetryPayment("tok_amex", "ann"))
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.trail.count("payment_cancelled") == 1
    assert shop.payments.held == TOTAL
