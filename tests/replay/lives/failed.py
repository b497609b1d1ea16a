"""Orders whose parcels do not arrive, and parcels whose orders are gone."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from orders.contracts import shipment_workflow_id
from orders.model import ShipmentStatus
from orders.policy import Policy
from tests.replay.lives.cancelled import being_packed, refused_once
from tests.replay.lives.life import SOON, life
from tests.workflows.conftest import A_LONG_WAY, NO_REVIEW, ON_DISPATCH, Shop

LOST, RETURNED = ShipmentStatus.LOST, ShipmentStatus.RETURNED


async def on_its_way(shop: Shop, policy: Policy = NO_REVIEW) -> None:
    shop.carrier.delivers_after = A_LONG_WAY
    await shop.place(policy=policy)
    await shop.until("dispatched")


async def terminate_the_parcel(shop: Shop) -> None:
    await shop.environment.client.get_workflow_handle(shipment_workflow_id(shop.shipment_id)).terminate()


@life
async def failed_since_no_carrier_takes_it(shop: Shop) -> None:
    shop.carrier.refusals = 2
    await shop.place(policy=replace(SOON, dispatch_attempts=2))


@life
async def failed_since_no_carrier_takes_it_with_the_money_held_ready(shop: Shop) -> None:
    shop.carrier.refusals = 1
    await shop.place(policy=replace(ON_DISPATCH, dispatch_attempts=1))


@life
async def failed_with_a_parcel_that_was_lost(shop: Shop) -> None:
    await on_its_way(shop)
    await shop.carrier_says(LOST)


@life
async def failed_with_a_parcel_that_was_returned(shop: Shop) -> None:
    await on_its_way(shop)
    await shop.carrier_says(ShipmentStatus.IN_TRANSIT, "evt_1")
    await shop.until("in_transit")
    await shop.carrier_says(RETURNED, "evt_2")


@life
async def failed_with_a_parcel_that_was_lost_after_its_money_was_taken(shop: Shop) -> None:
    await on_its_way(shop, ON_DISPATCH)
    await shop.until("payment_captured")
    await shop.carrier_says(LOST)


@life
async def failed_with_a_parcel_that_was_lost_unpaid(shop: Shop) -> None:
    shop.payments.declines_capture = True
    await on_its_way(shop, ON_DISPATCH)
    await shop.until("stuck")
    await shop.carrier_says(LOST)


@life
async def failed_with_a_parcel_that_was_lost_before_the_hand_over_was_answered(shop: Shop) -> None:
    shop.carrier.delivers_after = A_LONG_WAY
    shop.carrier.at_dispatch.close()
    await shop.place()
    await shop.carrier.at_dispatch.reached()
    await shop.carrier_says(LOST, "evt_1")
    await shop.carrier_says(ShipmentStatus.IN_TRANSIT, "evt_2")
    shop.carrier.at_dispatch.open()


@life
async def failed_with_a_parcel_that_was_terminated_while_it_was_packed(shop: Shop) -> None:
    await being_packed(shop)
    await terminate_the_parcel(shop)
    await shop.until("refunded")
    shop.warehouse.at_pick.open()


@life
async def failed_with_a_parcel_that_was_terminated_on_its_way(shop: Shop) -> None:
    await on_its_way(shop)
    await terminate_the_parcel(shop)


@life
async def terminated_after_a_refusal_of_the_carrier(shop: Shop) -> None:
    await (await refused_once(shop)).terminate()


@life
async def terminated_while_the_parcel_was_leaving(shop: Shop) -> None:
    shop.carrier.at_dispatch.close()
    handle = await shop.place()
    await shop.carrier.at_dispatch.reached()
    await handle.terminate()
    # Until the parcel has been asked to stop.
    await asyncio.sleep(0.5)
    shop.carrier.at_dispatch.open()


@life
async def terminated_while_the_carrier_refused_the_parcel(shop: Shop) -> None:
    shop.carrier.refusals = 1
    await terminated_while_the_parcel_was_leaving(shop)
