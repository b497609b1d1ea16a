"""An order's parcel: on its way, called back, or lost sight of."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from orders.contracts import shipment_workflow_id
from orders.model import OrderStatus, ShipmentStatus
from orders.workflows.shipping import ShippingWorkflow
from tests.counting import History
from tests.examples import TOTAL
from tests.workflows.conftest import NO_REVIEW, Shop


async def test_a_parcel_is_followed_until_its_carrier_says_that_it_has_arrived(shop: Shop) -> None:
    shop.carrier.delivers_after = 3
    handle = await shop.place()
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.carrier.asked_where == 3
    assert shop.trail.count("dispatched") == shop.trail.count("delivered") == 1


async def test_a_carrier_that_always_wants_to_be_asked_again_at_once_is_asked_less_and_less_often(shop: Shop) -> None:
    shop.carrier.delivers_after, shop.carrier.look_again_after = 16, timedelta(seconds=1)
    began = await shop.environment.get_current_time()
    handle = await shop.place()
    assert await handle.result() is OrderStatus.COMPLETED
    assert await shop.environment.get_current_time() - began > timedelta(hours=4)


async def test_a_parcel_that_travels_costs_what_the_documentation_says(shop: Shop) -> None:
    shop.carrier.delivers_after = 3
    handle = await shop.place()
    await handle.result()
    cost = await History.of(shop.environment.client, handle.id, shipment_workflow_id(shop.shipment_id))
    asked = shop.carrier.asked_where
    # 41 and 7 without a journey; 10 and 2 for the signal; 11 and 2 for each time that the carrier is asked.
    assert (cost.events, cost.workflow_tasks) == (41 + 10 + 11 * asked, 7 + 2 + 2 * asked)


async def test_a_parcel_called_back_by_an_operator_cancels_its_order_and_gives_the_money_back(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    await shop.environment.client.get_workflow_handle(shipment_workflow_id(shop.shipment_id)).cancel()
    await shop.until("refunded")
    shop.warehouse.at_pick.open()
    assert await handle.result() is OrderStatus.CANCELLED
    assert "called back from outside" in shop.ledger.trails[shop.order_id][-1].data["reason"]
    assert (shop.payments.held, shop.warehouse.packed) == (0, set())


async def test_an_order_whose_parcel_was_terminated_fails_with_everything_undone(shop_on_the_real_server: Shop) -> None:
    shop = shop_on_the_real_server
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    await shop.environment.client.get_workflow_handle(shipment_workflow_id(shop.shipment_id)).terminate()
    await shop.until("refunded")
    shop.warehouse.at_pick.open()
    assert await handle.result() is OrderStatus.FAILED
    assert (shop.payments.held, shop.warehouse.packed) == (0, set())


async def test_an_order_whose_parcel_was_terminated_on_its_way_fails_and_keeps_the_money(
    shop_on_the_real_server: Shop,
) -> None:
    shop = shop_on_the_real_server
    shop.carrier.delivers_after = 1
    handle = await shop.place()
    await shop.until("dispatched")
    await shop.environment.client.get_workflow_handle(shipment_workflow_id(shop.shipment_id)).terminate()
    assert await handle.result() is OrderStatus.FAILED
    assert shop.payments.held == TOTAL


async def test_a_parcel_whose_order_was_terminated_after_a_refusal_comes_back_by_itself(
    shop_on_the_real_server: Shop,
) -> None:
    shop = shop_on_the_real_server
    shop.carrier.refusals = 1
    handle = await shop.place(policy=replace(NO_REVIEW, dispatch_retry_after=timedelta(hours=1)))
    await shop.until("dispatch_failed")
    await handle.terminate()
    parcel = shop.environment.client.get_workflow_handle_for(
        ShippingWorkflow.run, shipment_workflow_id(shop.shipment_id)
    )
    assert (await parcel.result()).steps[-1].status is ShipmentStatus.RECALLED
    assert (shop.warehouse.put_back_, shop.warehouse.packed) == ({shop.shipment_id}, set())


@pytest.mark.parametrize(("refusals", "end"), [(0, ShipmentStatus.DELIVERED), (1, ShipmentStatus.RECALLED)])
async def test_a_parcel_whose_order_was_terminated_while_it_was_leaving_comes_back_only_if_the_carrier_refuses_it(
    shop_on_the_real_server: Shop, refusals: int, end: ShipmentStatus
) -> None:
    shop = shop_on_the_real_server
    shop.carrier.refusals = refusals
    shop.carrier.at_dispatch.close()
    handle = await shop.place()
    await shop.carrier.at_dispatch.reached()
    await handle.terminate()
    # Until the parcel has been asked to stop.
    await asyncio.sleep(0.5)
    shop.carrier.at_dispatch.open()
    parcel = shop.environment.client.get_workflow_handle_for(
        ShippingWorkflow.run, shipment_workflow_id(shop.shipment_id)
    )
    assert (await parcel.result()).steps[-1].status is end
    assert shop.warehouse.put_back_ == ({shop.shipment_id} if refusals else set())
