"""Money that is held ready first, and taken only once the parcel is on its way."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from orders.contracts import CancelPayment
from orders.model import OrderStatus, PaymentStatus, ShipmentStatus
from orders.workflows.order import OrderWorkflow
from tests.examples import TOTAL
from tests.workflows.conftest import (
    A_LONG_WAY,
    CANCEL,
    DECLINED,
    IMPATIENT,
    ON_DISPATCH,
    OTHER_CARD,
    OrderHandle,
    Shop,
    ask,
)


async def unpaid(shop: Shop) -> OrderHandle:
    """Have a parcel on its way whose money can't be taken any more."""
    shop.carrier.delivers_after = A_LONG_WAY
    shop.payments.declines_capture = True
    handle = await shop.place(policy=ON_DISPATCH)
    await shop.until("stuck")
    return handle


async def test_money_held_ready_is_taken_only_after_the_dispatch(shop: Shop) -> None:
    shop.carrier.at_dispatch.close()
    handle = await shop.place(policy=ON_DISPATCH)
    await shop.carrier.at_dispatch.reached()
    payment = shop.order.payment
    assert (payment.status, payment.authorized, payment.captured) == (PaymentStatus.AUTHORIZED, TOTAL, 0)
    assert (shop.payments.authorized, shop.payments.held) == ({f"{shop.order_id}:authorize:1": TOTAL}, 0)
    shop.carrier.at_dispatch.open()
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.held == shop.order.payment.captured == TOTAL
    assert shop.trail.index("dispatched") < shop.trail.index("capture_requested")
    assert shop.trail[-2:] == ["payment_captured", "completed"]


async def test_money_held_ready_for_an_order_that_is_cancelled_is_let_go_and_never_taken(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place(policy=ON_DISPATCH)
    await shop.warehouse.at_pick.reached()
    cancelling = ask(handle, OrderWorkflow.cancel, CANCEL)
    await shop.until("voided")
    shop.warehouse.at_pick.open()
    await cancelling
    assert await handle.result() is OrderStatus.CANCELLED
    assert (shop.payments.authorized, shop.payments.taken) == ({}, {})
    assert not {"capture_requested", "refund_requested"} & set(shop.trail)
    payment = shop.order.payment
    assert (payment.status, payment.authorized, payment.captured) == (PaymentStatus.CANCELLED, 0, 0)
    assert shop.trail[-2:] == ["stock_released", "cancelled"]


async def test_a_payment_called_off_while_packing_lets_the_money_go_and_another_card_pays(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place(policy=ON_DISPATCH)
    await shop.warehouse.at_pick.reached()
    cancelling = ask(handle, OrderWorkflow.cancel_payment, CancelPayment(None, "ann"))
    await shop.until("voided")
    shop.warehouse.at_pick.open()
    await cancelling
    assert (shop.order.status, shop.order.payment.status) == (OrderStatus.PAYMENT_FAILED, PaymentStatus.CANCELLED)
    await handle.execute_update(OrderWorkflow.retry_payment, OTHER_CARD)
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.taken == {f"{shop.order_id}:authorize:2": TOTAL}
    assert "stock_released" not in shop.trail


async def test_a_payment_called_off_while_another_card_is_being_asked_waits_for_a_third(shop: Shop) -> None:
    handle = await shop.place(DECLINED)
    await shop.until("payment_declined")
    shop.payments.at_authorize.close()
    await handle.execute_update(OrderWorkflow.retry_payment, OTHER_CARD)
    await shop.payments.at_authorize.reached()
    cancelling = ask(handle, OrderWorkflow.cancel_payment, CancelPayment(None, "ann"))
    await shop.until("refunded")
    shop.payments.at_authorize.open()
    await cancelling
    assert (shop.order.status, shop.payments.held) == (OrderStatus.PAYMENT_FAILED, 0)
    await handle.execute_update(OrderWorkflow.retry_payment, OTHER_CARD)
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.held == TOTAL


async def test_a_card_declined_when_money_is_to_be_held_ready_waits_for_another(shop: Shop) -> None:
    handle = await shop.place(DECLINED, ON_DISPATCH)
    await shop.until("payment_declined")
    assert (shop.order.status, shop.order.payment.status) == (OrderStatus.PAYMENT_FAILED, PaymentStatus.DECLINED)
    assert shop.carrier.offers == 0
    await handle.execute_update(OrderWorkflow.retry_payment, OTHER_CARD)
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.taken == {f"{shop.order_id}:authorize:2": TOTAL}


async def test_money_that_can_not_be_taken_any_more_makes_the_order_stuck_until_another_card_pays(shop: Shop) -> None:
    handle = await unpaid(shop)
    order = shop.order
    assert (order.status, order.payment.status) == (OrderStatus.SHIPPED, PaymentStatus.CANCELLED)
    assert "offer another payment method" in (order.why_stuck or "")
    assert (order.payment.authorized, shop.payments.authorized) == (0, {}), "what may still be held is let go"
    await handle.execute_update(OrderWorkflow.retry_payment, OTHER_CARD)
    await shop.until("payment_requested", times=2)
    assert shop.order.why_stuck is None
    await shop.carrier_says(ShipmentStatus.DELIVERED)
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.taken == {f"{shop.order_id}:authorize:2": TOTAL}
    assert shop.order.payment.captured == TOTAL


async def test_a_second_card_that_is_declined_after_the_dispatch_leaves_the_order_stuck(shop: Shop) -> None:
    handle = await unpaid(shop)
    await handle.execute_update(OrderWorkflow.retry_payment, replace(OTHER_CARD, payment_method="tok_declined"))
    await shop.until("stuck", times=2)
    assert (shop.order.status, shop.trail.count("payment_declined")) == (OrderStatus.SHIPPED, 2)
    await handle.execute_update(OrderWorkflow.retry_payment, OTHER_CARD)
    await shop.carrier_says(ShipmentStatus.DELIVERED)
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.held == TOTAL


async def test_an_unpaid_parcel_that_arrives_leaves_its_order_waiting_for_the_money(shop: Shop) -> None:
    handle = await unpaid(shop)
    await shop.carrier_says(ShipmentStatus.DELIVERED)
    await shop.until("delivered")
    order = shop.order
    assert (order.status, order.shipment.status) == (OrderStatus.SHIPPED, ShipmentStatus.DELIVERED)
    assert order.stuck
    await handle.execute_update(OrderWorkflow.retry_payment, OTHER_CARD)
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.held == TOTAL


@pytest.mark.parametrize("end", [ShipmentStatus.LOST, ShipmentStatus.RETURNED])
async def test_an_unpaid_parcel_that_does_not_arrive_fails_its_order_with_nothing_owed(
    shop: Shop, end: ShipmentStatus
) -> None:
    handle = await unpaid(shop)
    await shop.carrier_says(end)
    assert await handle.result() is OrderStatus.FAILED
    assert (shop.payments.held, shop.order.payment.captured) == (0, 0)
    assert "refund_requested" not in shop.trail
    assert shop.trail.count("void_requested") == 1
    assert shop.last.data == {"reason": f"the parcel was {end}"}


async def test_money_taken_for_a_parcel_on_its_way_is_on_record_at_once(shop: Shop) -> None:
    shop.carrier.delivers_after = A_LONG_WAY
    await shop.place(policy=ON_DISPATCH)
    await shop.until("capture_requested")
    await asyncio.sleep(1)
    assert (shop.payments.held, shop.order.payment.captured) == (TOTAL, TOTAL)


async def test_a_parcel_that_arrives_while_its_money_is_being_taken_is_on_record_as_delivered(shop: Shop) -> None:
    shop.carrier.delivers_after = A_LONG_WAY
    shop.payments.at_capture.close()
    await shop.place(policy=ON_DISPATCH)
    await shop.payments.at_capture.reached()
    await shop.carrier_says(ShipmentStatus.DELIVERED)
    await asyncio.sleep(1)
    trail = shop.trail
    shop.payments.at_capture.open()
    assert "delivered" in trail


async def test_news_of_an_unpaid_parcel_leaves_its_order_stuck(shop: Shop) -> None:
    await unpaid(shop)
    await shop.carrier_says(ShipmentStatus.IN_TRANSIT)
    await shop.until("in_transit")
    await asyncio.sleep(0.3)
    assert shop.order.why_stuck


@pytest.mark.parametrize("end", [ShipmentStatus.LOST, ShipmentStatus.RETURNED])
async def test_an_unpaid_parcel_known_as_lost_when_it_is_handed_over_fails_its_order(
    shop: Shop, end: ShipmentStatus
) -> None:
    shop.carrier.delivers_after = A_LONG_WAY
    shop.carrier.at_dispatch.close()
    shop.payments.declines_capture = True
    handle = await shop.place(policy=ON_DISPATCH)
    await shop.carrier.at_dispatch.reached()
    await shop.carrier_says(end)
    shop.carrier.at_dispatch.open()
    async with asyncio.timeout(5):
        assert await handle.result() is OrderStatus.FAILED


async def test_money_that_was_taken_although_its_answer_got_lost_comes_back_when_the_order_is_cancelled(
    shop: Shop,
) -> None:
    shop.payments.lost_answers = A_LONG_WAY
    handle = await shop.place(policy=IMPATIENT)
    await shop.until("stuck")
    await handle.execute_update(OrderWorkflow.cancel, CANCEL)
    assert await handle.result() is OrderStatus.CANCELLED
    assert shop.said("voided").data["amount"] == shop.said("refunded").data["amount"] == TOTAL
    payment = shop.order.payment
    assert (payment.status, payment.captured, payment.refunded) == (PaymentStatus.REFUNDED, TOTAL, TOTAL)
    assert shop.payments.held == 0


async def test_money_is_let_go_as_soon_as_a_provider_that_was_away_is_back(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    shop.payments.refund_failures = 3
    handle = await shop.place(policy=ON_DISPATCH)
    await shop.warehouse.at_pick.reached()
    cancelling = ask(handle, OrderWorkflow.cancel, CANCEL)
    await shop.until("void_requested")
    shop.warehouse.at_pick.open()
    assert await handle.result() is OrderStatus.CANCELLED
    await cancelling
    assert shop.payments.asked[f"{shop.order_id}:void:1"] == 4
    assert (shop.payments.authorized, shop.payments.taken) == ({}, {})
    assert shop.order.payment.status is PaymentStatus.CANCELLED
