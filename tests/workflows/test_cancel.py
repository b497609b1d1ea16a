"""An order is cancelled: what was done is undone, and what comes too late is refused."""

from __future__ import annotations

import asyncio

import pytest

from orders.contracts import CancelPayment, ChangeAddress
from orders.model import OrderStatus, PaymentStatus, ShipmentStatus
from orders.workflows.order import OrderWorkflow
from tests.examples import TOTAL, WORK
from tests.workflows.conftest import CANCEL, LONG_REVIEW, Shop, ask, refusal


async def test_an_order_cancelled_in_review_is_never_charged(shop: Shop) -> None:
    handle = await shop.place(policy=LONG_REVIEW)
    await shop.until("review_started")
    await handle.execute_update(OrderWorkflow.cancel, CANCEL)
    assert shop.order.status is OrderStatus.CANCELLED
    assert await handle.result() is OrderStatus.CANCELLED
    assert shop.trail[-2:] == ["cancel_requested", "cancelled"]
    assert shop.ledger.trails[shop.order_id][-1].actor == "ann"
    assert shop.payments.asked.total() == 0


async def test_an_order_cancelled_while_it_is_being_charged_gets_its_money_back(shop: Shop) -> None:
    shop.payments.at_authorize.close()
    handle = await shop.place()
    await shop.payments.at_authorize.reached()
    cancelling = ask(handle, OrderWorkflow.cancel, CANCEL)
    await shop.until("refunded")
    shop.payments.at_authorize.open()
    await cancelling
    assert await handle.result() is OrderStatus.CANCELLED
    assert shop.payments.held == 0
    assert shop.order.payment.status is PaymentStatus.REFUNDED
    assert shop.trail[-7:] == [
        "cancel_requested",
        "void_requested",
        "voided",
        "refund_requested",
        "refunded",
        "stock_released",
        "cancelled",
    ]


async def test_an_order_cancelled_while_it_is_being_packed_is_put_back_and_refunded(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    cancelling = ask(handle, OrderWorkflow.cancel, CANCEL)
    await shop.until("refunded")
    shop.warehouse.at_pick.open()
    await cancelling
    assert await handle.result() is OrderStatus.CANCELLED
    assert shop.payments.held == 0
    assert (shop.warehouse.put_back_, shop.warehouse.packed) == ({shop.shipment_id}, set())
    assert shop.carrier.dispatches.total() == 0
    assert shop.order.shipment.status is ShipmentStatus.RECALLED


async def test_a_cancel_is_refused_at_once_while_the_parcel_is_being_handed_over(shop: Shop) -> None:
    shop.carrier.at_dispatch.close()
    handle = await shop.place()
    await shop.carrier.at_dispatch.reached()
    assert "handed to the carrier" in await refusal(ask(handle, OrderWorkflow.cancel, CANCEL))
    shop.carrier.at_dispatch.open()
    assert await handle.result() is OrderStatus.COMPLETED
    assert "refused" in shop.trail
    assert shop.payments.held == TOTAL


async def test_nothing_else_is_accepted_once_a_cancel_is(shop: Shop) -> None:
    shop.payments.refund_failures = 2
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    cancelling = ask(handle, OrderWorkflow.cancel, CANCEL)
    await shop.until("refund_requested")
    assert "being cancelled" in await refusal(ask(handle, OrderWorkflow.change_address, ChangeAddress(WORK, "ann")))
    assert "being cancelled" in await refusal(ask(handle, OrderWorkflow.cancel_payment, CancelPayment(None, "ann")))
    shop.warehouse.at_pick.open()
    await cancelling
    assert await handle.result() is OrderStatus.CANCELLED


@pytest.mark.parametrize("gate", ["at_authorize", "at_pick"])
async def test_cancelling_the_workflow_itself_undoes_the_same(shop: Shop, gate: str) -> None:
    held = shop.payments.at_authorize if gate == "at_authorize" else shop.warehouse.at_pick
    held.close()
    handle = await shop.place()
    await held.reached()
    await handle.cancel()
    await shop.until("refunded")
    held.open()
    assert await handle.result() is OrderStatus.CANCELLED
    assert shop.payments.held == 0
    assert shop.carrier.dispatches.total() == 0
    assert shop.ledger.trails[shop.order_id][-1].actor == "temporal"


async def test_cancelling_the_workflow_itself_comes_too_late_once_the_parcel_leaves(shop: Shop) -> None:
    shop.carrier.at_dispatch.close()
    handle = await shop.place()
    await shop.carrier.at_dispatch.reached()
    await handle.cancel()
    await shop.until("refused")
    shop.carrier.at_dispatch.open()
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.held == TOTAL


async def test_of_two_cancels_at_once_one_cancels_and_the_other_is_told_so(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    both = [ask(handle, OrderWorkflow.cancel, CANCEL), ask(handle, OrderWorkflow.cancel, CANCEL)]
    await shop.until("refunded")
    shop.warehouse.at_pick.open()
    answers = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(answer is None for answer in answers) == [False, True]
    assert shop.said("refused").data["reason"] == "the order is being cancelled"
    assert await handle.result() is OrderStatus.CANCELLED
    assert shop.trail.count("cancelled") == shop.trail.count("refunded") == shop.trail.count("recalled") == 1
