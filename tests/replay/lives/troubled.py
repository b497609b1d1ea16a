"""Orders that were stuck, and got on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from orders.contracts import PaymentNotice
from orders.errors import PartnerMisuse, PartnerUnavailable
from orders.model import ShipmentStatus
from orders.workflows.order import OrderWorkflow
from tests.replay.lives.cancelled import being_packed
from tests.replay.lives.life import SHORTLY, begun, life
from tests.workflows.conftest import (
    A_LONG_WAY,
    APPROVE,
    BY_PERSON,
    CANCEL,
    IMPATIENT,
    NO_REVIEW,
    ON_DISPATCH,
    OTHER_CARD,
    QUICKLY_STUCK,
    OrderHandle,
    Shop,
)

AWAY = PartnerUnavailable("the partner is away")


async def unpaid(shop: Shop) -> OrderHandle:
    """Have a parcel on its way whose money can't be taken any more."""
    shop.carrier.delivers_after = A_LONG_WAY
    shop.payments.declines_capture = True
    handle = await shop.place(policy=ON_DISPATCH)
    await shop.until("stuck")
    return handle


@life
async def completed_after_a_lost_answer(shop: Shop) -> None:
    shop.payments.lost_answers = 1
    await shop.place()


@life
async def completed_after_the_payment_was_stuck(shop: Shop) -> None:
    shop.payments.away = AWAY
    await shop.place(policy=IMPATIENT)
    await shop.until("stuck")
    shop.payments.away = None


@life
async def completed_after_the_provider_was_asked_wrongly(shop: Shop) -> None:
    shop.payments.away = PartnerMisuse("the key is wrong")
    await shop.place(policy=replace(NO_REVIEW, partners=replace(QUICKLY_STUCK, stuck_after=timedelta(minutes=5))))
    await shop.until("stuck")
    shop.payments.away = None


@life
async def completed_after_the_parcel_was_stuck(shop: Shop) -> None:
    shop.warehouse.away = AWAY
    await shop.place(policy=IMPATIENT)
    await shop.until("stuck")
    shop.warehouse.away = None


@life
async def completed_after_the_capture_was_stuck(shop: Shop) -> None:
    shop.payments.at_capture.close()
    await shop.place(policy=replace(ON_DISPATCH, partners=QUICKLY_STUCK))
    await shop.until("stuck")
    shop.payments.at_capture.open()


@life
async def completed_after_the_carrier_did_not_say_where_the_parcel_was(shop: Shop) -> None:
    shop.carrier.delivers_after, shop.carrier.look_again_after = 1, SHORTLY
    shop.carrier.away = AWAY
    await shop.place(policy=IMPATIENT)
    async with asyncio.timeout(20):
        while not shop.carrier.asked_where:  # noqa: ASYNC110 - asked by another task
            await asyncio.sleep(0.1)
    await asyncio.sleep(1)
    shop.carrier.away = None


@life
async def completed_after_a_capture_was_declined_twice(shop: Shop) -> None:
    handle = await unpaid(shop)
    await handle.execute_update(OrderWorkflow.retry_payment, replace(OTHER_CARD, payment_method="tok_declined"))
    await shop.until("stuck", times=2)
    await handle.execute_update(OrderWorkflow.retry_payment, OTHER_CARD)
    await shop.carrier_says(ShipmentStatus.DELIVERED)


@life
async def completed_after_the_parcel_arrived_unpaid(shop: Shop) -> None:
    handle = await unpaid(shop)
    await shop.carrier_says(ShipmentStatus.DELIVERED)
    await shop.until("delivered")
    await handle.execute_update(OrderWorkflow.retry_payment, OTHER_CARD)


@life
async def completed_after_notices_of_the_provider(shop: Shop) -> None:
    handle = await shop.place(policy=BY_PERSON)
    await shop.until("review_started")
    disputed = PaymentNotice("ntc_1", "dispute", "ref", problem="the customer disputes the payment")
    for notice in (disputed, disputed, PaymentNotice("ntc_2", "payout", "ref")):
        await handle.signal(OrderWorkflow.payment_noticed, notice)
    await shop.until("payment_noticed", times=2)
    await handle.execute_update(OrderWorkflow.review, APPROVE)


@life
async def completed_after_writes_that_were_overtaken(shop: Shop) -> None:
    shop.ledger.stale = 2
    await shop.place()


@life
async def cancelled_after_the_refund_was_stuck(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place(policy=IMPATIENT)
    await shop.warehouse.at_pick.reached()
    shop.payments.away = AWAY
    await begun(handle, OrderWorkflow.cancel, CANCEL)
    await shop.until("refund_requested")
    shop.warehouse.at_pick.open()
    await shop.until("stuck")
    shop.payments.away = None


@life
async def cancelled_after_a_refund_that_was_tried_twice(shop: Shop) -> None:
    shop.payments.refund_failures = 1
    handle = await being_packed(shop)
    await begun(handle, OrderWorkflow.cancel, CANCEL)
    await shop.until("refund_requested")
    shop.warehouse.at_pick.open()
