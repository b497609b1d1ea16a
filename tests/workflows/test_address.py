"""An order goes elsewhere: what was accepted stands on the label."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from orders.contracts import ChangeAddress
from orders.details import Address
from orders.workflows.order import OrderWorkflow
from tests.examples import HOME, WORK
from tests.workflows.conftest import LONG_REVIEW, Shop, ask, refusal


async def test_an_address_changed_in_review_stands_on_the_label(shop: Shop) -> None:
    handle = await shop.place(policy=LONG_REVIEW)
    await shop.until("review_started")
    await handle.execute_update(OrderWorkflow.change_address, ChangeAddress(WORK, "ann"))
    assert shop.order.details.shipping_address == WORK
    await handle.result()
    assert shop.carrier.labels == {shop.shipment_id: WORK}


async def test_an_address_changed_while_the_parcel_is_being_packed_stands_on_the_label(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    await handle.execute_update(OrderWorkflow.change_address, ChangeAddress(WORK, "ann"))
    shop.warehouse.at_pick.open()
    await handle.result()
    assert shop.carrier.labels == {shop.shipment_id: WORK}
    assert shop.order.shipment.address == WORK


async def test_an_address_changed_while_packing_chooses_the_carrier(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    abroad = Address("Unter den Linden 1", "Berlin", None, "10117", "DE")
    await handle.execute_update(OrderWorkflow.change_address, ChangeAddress(abroad, "ann"))
    shop.warehouse.at_pick.open()
    await handle.result()
    assert (shop.order.shipment.carrier, shop.order.shipment.address) == ("Fake Freight", abroad)


async def test_of_two_addresses_at_once_the_last_one_accepted_wins_and_both_are_on_record(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    other = replace(WORK, street="2 Market St")
    await asyncio.gather(
        ask(handle, OrderWorkflow.change_address, ChangeAddress(WORK, "ann")),
        ask(handle, OrderWorkflow.change_address, ChangeAddress(other, "bob")),
    )
    shop.warehouse.at_pick.open()
    await handle.result()
    assert shop.trail.count("address_changed") == 2
    assert shop.carrier.labels == {shop.shipment_id: shop.order.details.shipping_address}


async def test_an_address_is_refused_while_the_parcel_is_being_handed_over(shop: Shop) -> None:
    shop.carrier.at_dispatch.close()
    handle = await shop.place()
    await shop.carrier.at_dispatch.reached()
    assert "handed to the carrier" in await refusal(
        ask(handle, OrderWorkflow.change_address, ChangeAddress(WORK, "ann"))
    )
    shop.carrier.at_dispatch.open()
    await handle.result()
    assert shop.carrier.labels == {shop.shipment_id: HOME}
    assert shop.order.details.shipping_address == HOME
