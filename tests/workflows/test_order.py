"""An order's life, on a server that skips time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from orders.contracts import CancelPayment, ChangeAddress, RetryPayment
from orders.details import OrderLine
from orders.model import OrderStatus
from orders.workflows.order import OrderWorkflow
from tests.examples import DETAILS, HOME, TOTAL, WORK
from tests.workflows.conftest import CANCEL, LONG_REVIEW, Shop, ask, refusal

LENGTH = 13
"""How many events an order has that takes the straight path."""


async def test_an_order_is_received_paid_shipped_and_completed(shop: Shop) -> None:
    handle = await shop.place()
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.trail == [
        "received",
        "validated",
        "stock_reserved",
        "payment_requested",
        "payment_authorized",
        "payment_captured",
        "shipment_requested",
        "picked",
        "packed",
        "labelled",
        "dispatched",
        "delivered",
        "completed",
    ]
    assert shop.payments.held == TOTAL
    assert shop.carrier.labels == {shop.shipment_id: HOME}
    assert (shop.order.shipment.carrier, shop.order.shipment.tracking_number) == (
        "Fake Parcel",
        f"T-{shop.shipment_id}",
    )


async def test_an_order_stays_open_for_review_before_anything_is_charged(shop: Shop) -> None:
    handle = await shop.place(policy=LONG_REVIEW)
    await shop.until("review_started")
    assert shop.order.status is OrderStatus.IN_REVIEW
    assert shop.payments.asked.total() == 0
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.trail[2:4] == ["review_started", "review_passed"]


async def test_an_order_that_makes_no_sense_is_rejected_with_the_reason(shop: Shop) -> None:
    handle = await shop.place(replace(DETAILS, lines=(OrderLine("A", 1, 100), OrderLine("A", 1, 200))))
    assert await handle.result() is OrderStatus.REJECTED
    assert shop.trail == ["received", "rejected"]
    assert shop.ledger.trails[shop.order_id][-1].data == {"reason": "A is listed at two prices"}
    assert shop.payments.asked.total() == 0


async def test_messages_are_refused_with_the_reason_once_the_parcel_is_on_its_way(shop: Shop) -> None:
    shop.carrier.delivers_after = 1
    handle = await shop.place()
    await shop.until("dispatched")
    assert shop.order.status is OrderStatus.SHIPPED
    for update, message in [
        (OrderWorkflow.cancel, CANCEL),
        (OrderWorkflow.cancel_payment, CancelPayment(None, "ann")),
        (OrderWorkflow.change_address, ChangeAddress(WORK, "ann")),
        (OrderWorkflow.retry_payment, RetryPayment("tok_amex", "ann")),
    ]:
        assert "the order is shipped" in await refusal(ask(handle, update, message))
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.carrier.labels == {shop.shipment_id: HOME}


async def test_a_ledger_that_is_away_makes_an_order_wait(shop: Shop) -> None:
    shop.ledger.failures = 3
    handle = await shop.place()
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.order.version == LENGTH


async def test_a_write_that_a_dead_worker_has_overtaken_is_decided_anew(shop: Shop) -> None:
    shop.ledger.stale = 2
    handle = await shop.place()
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.order.version == LENGTH


async def test_a_write_that_is_decided_anew_says_no_more_of_the_order_than_its_events_do(shop: Shop) -> None:
    shop.ledger.stale = 1
    handle = await shop.place()
    await handle.execute_update(OrderWorkflow.change_address, ChangeAddress(WORK, "ann"))
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.ledger.ahead == 0


async def test_every_message_at_once_leaves_an_order_that_is_right(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    all_at_once = [
        ask(handle, OrderWorkflow.cancel_payment, CancelPayment(None, "ann")),
        ask(handle, OrderWorkflow.change_address, ChangeAddress(WORK, "ann")),
        ask(handle, OrderWorkflow.cancel, CANCEL),
        ask(handle, OrderWorkflow.cancel_payment, CancelPayment(None, "bob")),
    ]
    await shop.until("refunded")
    shop.warehouse.at_pick.open()
    await asyncio.gather(*all_at_once, return_exceptions=True)
    assert await handle.result() is OrderStatus.CANCELLED
    assert shop.payments.held == 0
    assert shop.trail.count("cancelled") == 1
