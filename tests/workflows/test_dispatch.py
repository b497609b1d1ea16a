"""A carrier that does not take a parcel: tried again, sent elsewhere, called back, or given up."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from orders.contracts import CancelPayment, ChangeAddress, shipment_workflow_id
from orders.model import OrderStatus, PaymentStatus, ShipmentStatus
from orders.policy import Policy
from orders.workflows.order import OrderWorkflow
from tests.examples import TOTAL, WORK
from tests.workflows.conftest import (
    ACCEPTED,
    CANCEL,
    NO_REVIEW,
    ON_DISPATCH,
    OTHER_CARD,
    OrderHandle,
    Shop,
    ask,
    refusal,
)

AN_HOUR = timedelta(hours=1)
SLOWLY = replace(NO_REVIEW, dispatch_retry_after=AN_HOUR)


async def refused_once(shop: Shop, policy: Policy = SLOWLY) -> OrderHandle:
    """Have a parcel wait for its second try, an hour later."""
    shop.carrier.refusals = 1
    handle = await shop.place(policy=policy)
    await shop.until("dispatch_failed")
    return handle


async def test_a_parcel_that_was_refused_is_tried_again_after_a_while(shop: Shop) -> None:
    shop.carrier.refusals = 1
    handle = await shop.place(policy=SLOWLY)
    assert await handle.result() is OrderStatus.COMPLETED
    failed = shop.said("dispatch_failed")
    assert failed.data.items() >= {"attempt": 1, "of": 3, "reason": "the address is unknown"}.items()
    assert shop.last.at - failed.at > 0.9 * AN_HOUR
    assert (shop.carrier.offers, shop.carrier.dispatches.total(), shop.payments.held) == (2, 1, TOTAL)


async def test_the_shop_waits_longer_each_time_before_it_tries_again(shop: Shop) -> None:
    shop.carrier.refusals = 3
    handle = await shop.place(policy=replace(SLOWLY, dispatch_attempts=4))
    assert await handle.result() is OrderStatus.COMPLETED
    failed = [event for event in shop.ledger.trails[shop.order_id] if event.type == "dispatch_failed"]
    assert [(event.data["attempt"], event.data["of"]) for event in failed] == [(1, 4), (2, 4), (3, 4)]
    tried_at = [event.at for event in failed]
    assert tried_at[1] - tried_at[0] > 0.9 * AN_HOUR
    assert tried_at[2] - tried_at[1] > 1.9 * AN_HOUR


@pytest.mark.parametrize("attempts", [1, 3])
async def test_a_parcel_that_no_carrier_takes_fails_its_order_with_everything_undone(shop: Shop, attempts: int) -> None:
    shop.carrier.refusals = attempts
    handle = await shop.place(policy=replace(NO_REVIEW, dispatch_attempts=attempts))
    assert await handle.result() is OrderStatus.FAILED
    assert shop.last.data == {"reason": f"the carrier refused the parcel {attempts} times: the address is unknown"}
    assert shop.carrier.offers == shop.trail.count("dispatch_failed") == attempts
    assert (shop.warehouse.put_back_, shop.warehouse.packed) == ({shop.shipment_id}, set())
    assert (shop.payments.held, shop.order.payment.status) == (0, PaymentStatus.REFUNDED)
    assert (shop.order.shipment.status, shop.order.stock) == (ShipmentStatus.RECALLED, {})
    assert shop.trail[-5:] == ["recalled", "refund_requested", "refunded", "stock_released", "failed"]


async def test_money_held_ready_for_a_parcel_that_no_carrier_takes_is_let_go(shop: Shop) -> None:
    shop.carrier.refusals = 1
    handle = await shop.place(policy=replace(ON_DISPATCH, dispatch_attempts=1))
    assert await handle.result() is OrderStatus.FAILED
    assert (shop.payments.authorized, shop.payments.taken) == ({}, {})
    assert shop.trail[-5:] == ["recalled", "void_requested", "voided", "stock_released", "failed"]


async def test_an_address_changed_after_a_refusal_is_tried_at_once_and_stands_on_the_label(shop: Shop) -> None:
    handle = await refused_once(shop)
    await handle.execute_update(OrderWorkflow.change_address, ChangeAddress(WORK, "ann"))
    await shop.until("completed")
    assert shop.last.at - shop.said("dispatch_failed").at < AN_HOUR / 2
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.carrier.labels == {shop.shipment_id: WORK}
    assert shop.order.shipment.address == shop.order.details.shipping_address == WORK


async def test_an_order_can_be_cancelled_after_a_refusal(shop: Shop) -> None:
    handle = await refused_once(shop)
    await handle.execute_update(OrderWorkflow.cancel, CANCEL)
    assert await handle.result() is OrderStatus.CANCELLED
    assert (shop.payments.held, shop.warehouse.packed, shop.carrier.dispatches.total()) == (0, set(), 0)
    assert shop.trail[-2:] == ["stock_released", "cancelled"]
    assert shop.last.at - shop.said("dispatch_failed").at < AN_HOUR / 2


async def test_an_order_can_be_cancelled_while_a_parcel_that_no_carrier_takes_is_put_back(shop: Shop) -> None:
    shop.carrier.refusals = 1
    shop.warehouse.at_put_back.close()
    handle = await shop.place(policy=replace(NO_REVIEW, dispatch_attempts=1))
    await shop.warehouse.at_put_back.reached()
    await handle.start_update(OrderWorkflow.cancel, CANCEL, wait_for_stage=ACCEPTED)
    # Until the parcel has answered.
    await asyncio.sleep(0.5)
    shop.warehouse.at_put_back.open()
    assert await handle.result() is OrderStatus.CANCELLED
    assert (shop.payments.held, shop.order.stock) == (0, {})


async def test_a_payment_can_be_called_off_after_a_refusal_and_a_new_parcel_leaves_once_it_is_paid_anew(
    shop: Shop,
) -> None:
    handle = await refused_once(shop)
    await handle.execute_update(OrderWorkflow.cancel_payment, CancelPayment(None, "ann"))
    assert (shop.order.status, shop.payments.held) == (OrderStatus.PAYMENT_FAILED, 0)
    await handle.execute_update(OrderWorkflow.retry_payment, OTHER_CARD)
    assert await handle.result() is OrderStatus.COMPLETED
    assert [shipment.status for shipment in shop.order.shipments] == ["recalled", "delivered"]
    assert (set(shop.carrier.labels), shop.payments.held) == ({f"{shop.order_id}:2"}, TOTAL)


async def test_a_new_parcel_may_be_refused_as_often_as_the_first_one(shop: Shop) -> None:
    handle = await refused_once(shop, replace(SLOWLY, dispatch_attempts=2))
    await handle.execute_update(OrderWorkflow.cancel_payment, CancelPayment(None, "ann"))
    shop.carrier.refusals = 1
    await handle.execute_update(OrderWorkflow.retry_payment, OTHER_CARD)
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.said("dispatch_failed").data["attempt"] == 1


async def test_a_cancel_that_came_too_late_can_be_repeated_once_the_carrier_has_refused_the_parcel(shop: Shop) -> None:
    shop.carrier.refusals = 1
    shop.carrier.at_dispatch.close()
    handle = await shop.place(policy=SLOWLY)
    await shop.carrier.at_dispatch.reached()
    assert "handed to the carrier" in await refusal(ask(handle, OrderWorkflow.cancel, CANCEL))
    shop.carrier.at_dispatch.open()
    await shop.until("dispatch_failed")
    await handle.execute_update(OrderWorkflow.cancel, CANCEL)
    assert await handle.result() is OrderStatus.CANCELLED
    assert shop.payments.held == 0


async def test_a_parcel_called_back_from_outside_after_a_refusal_cancels_its_order(shop: Shop) -> None:
    handle = await refused_once(shop)
    await shop.environment.client.get_workflow_handle(shipment_workflow_id(shop.shipment_id)).cancel()
    assert await handle.result() is OrderStatus.CANCELLED
    assert shop.payments.held == 0


async def test_a_parcel_called_back_from_outside_cancels_its_order_also_after_a_cancel_that_came_too_late(
    shop: Shop,
) -> None:
    shop.carrier.refusals = 1
    shop.carrier.at_dispatch.close()
    handle = await shop.place(policy=SLOWLY)
    await shop.carrier.at_dispatch.reached()
    await refusal(ask(handle, OrderWorkflow.cancel, CANCEL))
    shop.carrier.at_dispatch.open()
    await shop.until("dispatch_failed")
    await shop.environment.client.get_workflow_handle(shipment_workflow_id(shop.shipment_id)).cancel()
    async with asyncio.timeout(5):
        assert await handle.result() is OrderStatus.CANCELLED
