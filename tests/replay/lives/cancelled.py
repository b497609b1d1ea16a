"""Orders that are cancelled, by their customers or from outside."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from orders.contracts import CancelPayment, ChangeAddress, shipment_workflow_id
from orders.workflows.order import OrderWorkflow
from tests.examples import WORK
from tests.replay.lives.life import begun, life
from tests.workflows.conftest import (
    A_LONG_WAY,
    BY_PERSON,
    CANCEL,
    DECLINED,
    IMPATIENT,
    LONG_REVIEW,
    NO_REVIEW,
    ON_DISPATCH,
    OrderHandle,
    Shop,
    ask,
    refusal,
)

SLOWLY = replace(NO_REVIEW, dispatch_retry_after=timedelta(hours=1))


async def being_charged(shop: Shop) -> OrderHandle:
    shop.payments.at_authorize.close()
    handle = await shop.place()
    await shop.payments.at_authorize.reached()
    return handle


async def being_packed(shop: Shop) -> OrderHandle:
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    return handle


async def refused_once(shop: Shop) -> OrderHandle:
    shop.carrier.refusals = 1
    handle = await shop.place(policy=SLOWLY)
    await shop.until("dispatch_failed")
    return handle


@life
async def cancelled_in_review_by_the_clock(shop: Shop) -> None:
    handle = await shop.place(policy=LONG_REVIEW)
    await shop.until("review_started")
    await handle.execute_update(OrderWorkflow.cancel, CANCEL)


@life
async def cancelled_in_review_by_a_person(shop: Shop) -> None:
    handle = await shop.place(policy=BY_PERSON)
    await shop.until("review_started")
    await handle.execute_update(OrderWorkflow.cancel, CANCEL)


@life
async def cancelled_in_a_shortage(shop: Shop) -> None:
    shop.ledger.stock["MUG"] = 1
    handle = await shop.place()
    await shop.until("stock_short")
    await handle.execute_update(OrderWorkflow.cancel, CANCEL)


@life
async def cancelled_unpaid(shop: Shop) -> None:
    handle = await shop.place(DECLINED)
    await shop.until("payment_declined")
    await handle.execute_update(OrderWorkflow.cancel, CANCEL)


@life
async def cancelled_while_it_was_charged(shop: Shop) -> None:
    handle = await being_charged(shop)
    await begun(handle, OrderWorkflow.cancel, CANCEL)
    await shop.until("refunded")
    shop.payments.at_authorize.open()


@life
async def cancelled_while_it_was_packed(shop: Shop) -> None:
    handle = await being_packed(shop)
    await begun(handle, OrderWorkflow.cancel, CANCEL)
    await shop.until("refunded")
    shop.warehouse.at_pick.open()


@life
async def cancelled_with_the_money_held_ready(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place(policy=ON_DISPATCH)
    await shop.warehouse.at_pick.reached()
    await begun(handle, OrderWorkflow.cancel, CANCEL)
    await shop.until("voided")
    shop.warehouse.at_pick.open()


@life
async def cancelled_once_while_everything_was_asked_at_once(shop: Shop) -> None:
    handle = await being_packed(shop)
    all_at_once = [
        ask(handle, OrderWorkflow.cancel_payment, CancelPayment(None, "ann")),
        ask(handle, OrderWorkflow.change_address, ChangeAddress(WORK, "ann")),
        ask(handle, OrderWorkflow.cancel, CANCEL),
        ask(handle, OrderWorkflow.cancel, CANCEL),
    ]
    await shop.until("refunded")
    shop.warehouse.at_pick.open()
    await asyncio.gather(*all_at_once, return_exceptions=True)


@life
async def cancelled_after_a_refusal_of_the_carrier(shop: Shop) -> None:
    handle = await refused_once(shop)
    await handle.execute_update(OrderWorkflow.cancel, CANCEL)


@life
async def cancelled_at_the_second_try_after_one_that_came_too_late(shop: Shop) -> None:
    shop.carrier.refusals = 1
    shop.carrier.at_dispatch.close()
    handle = await shop.place(policy=SLOWLY)
    await shop.carrier.at_dispatch.reached()
    await refusal(ask(handle, OrderWorkflow.cancel, CANCEL))
    shop.carrier.at_dispatch.open()
    await shop.until("dispatch_failed")
    await handle.execute_update(OrderWorkflow.cancel, CANCEL)


@life
async def cancelled_while_a_parcel_that_no_carrier_takes_was_put_back(shop: Shop) -> None:
    shop.carrier.refusals = 1
    shop.warehouse.at_put_back.close()
    handle = await shop.place(policy=replace(NO_REVIEW, dispatch_attempts=1))
    await shop.warehouse.at_put_back.reached()
    await begun(handle, OrderWorkflow.cancel, CANCEL)
    # Until the parcel has answered.
    await asyncio.sleep(0.5)
    shop.warehouse.at_put_back.open()


@life
async def cancelled_while_it_was_stuck(shop: Shop) -> None:
    shop.payments.lost_answers = A_LONG_WAY
    handle = await shop.place(policy=IMPATIENT)
    await shop.until("stuck")
    await handle.execute_update(OrderWorkflow.cancel, CANCEL)


@life
async def cancelled_from_outside_while_it_was_charged(shop: Shop) -> None:
    handle = await being_charged(shop)
    await handle.cancel()
    await shop.until("refunded")
    shop.payments.at_authorize.open()


@life
async def cancelled_from_outside_while_it_was_packed(shop: Shop) -> None:
    handle = await being_packed(shop)
    await handle.cancel()
    await shop.until("refunded")
    shop.warehouse.at_pick.open()


@life
async def cancelled_with_its_parcel_from_outside(shop: Shop) -> None:
    await being_packed(shop)
    await shop.environment.client.get_workflow_handle(shipment_workflow_id(shop.shipment_id)).cancel()
    await shop.until("refunded")
    shop.warehouse.at_pick.open()


@life
async def cancelled_with_its_parcel_from_outside_after_a_refusal(shop: Shop) -> None:
    await refused_once(shop)
    await shop.environment.client.get_workflow_handle(shipment_workflow_id(shop.shipment_id)).cancel()
