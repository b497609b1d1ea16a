"""What an order says of itself when it is asked, in each phase of its life."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from orders.model import OrderStatus, ShipmentStatus
from orders.progress import Progress
from orders.workflows.order import OrderWorkflow
from tests.workflows.conftest import (
    A_LONG_WAY,
    APPROVE,
    BY_PERSON,
    CANCEL,
    DECLINED,
    IMPATIENT,
    NO_REVIEW,
    OTHER_CARD,
    OrderHandle,
    Shop,
)


async def doing(handle: OrderHandle) -> tuple[OrderStatus, str, str | None]:
    found = await handle.query(OrderWorkflow.progress)
    return found.status, found.step, found.waits_for


def promised(shop: Shop, event: str) -> datetime:
    """Until when an event says that the order waits."""
    return datetime.fromisoformat(shop.said(event).data["until"])


async def test_an_order_in_review_waits_for_a_decision_until_its_time_is_over(shop: Shop) -> None:
    handle = await shop.place(policy=BY_PERSON)
    await shop.until("review_started")
    found = await handle.query(OrderWorkflow.progress)
    until = promised(shop, "review_started")
    assert found == Progress(OrderStatus.IN_REVIEW, "review", "a decision: approve or reject", until)
    assert timedelta(0) <= until - shop.said("review_started").at - timedelta(days=3) < timedelta(seconds=1)
    await handle.execute_update(OrderWorkflow.review, APPROVE)
    assert await handle.result() is OrderStatus.COMPLETED


async def test_an_order_of_which_something_is_short_waits_for_the_customer(shop: Shop) -> None:
    shop.ledger.stock["MUG"] = 1
    handle = await shop.place()
    await shop.until("stock_short")
    found = await handle.query(OrderWorkflow.progress)
    assert (found.status, found.waits_for) == (OrderStatus.AWAITING_CUSTOMER, "the customer: amend or cancel")
    assert found.until == promised(shop, "stock_short")
    await handle.execute_update(OrderWorkflow.cancel, CANCEL)


async def test_an_order_that_is_not_paid_waits_for_another_payment_method(shop: Shop) -> None:
    handle = await shop.place(DECLINED)
    await shop.until("payment_declined")
    found = await handle.query(OrderWorkflow.progress)
    until = promised(shop, "payment_declined")
    assert found == Progress(OrderStatus.PAYMENT_FAILED, "pay", "another payment method", until)
    await handle.execute_update(OrderWorkflow.retry_payment, OTHER_CARD)
    assert await handle.result() is OrderStatus.COMPLETED


async def test_an_order_that_is_being_paid_waits_for_the_provider_and_says_that_it_is_stuck(shop: Shop) -> None:
    shop.payments.at_authorize.close()
    handle = await shop.place(policy=IMPATIENT)
    await shop.payments.at_authorize.reached()
    assert await doing(handle) == (OrderStatus.VALIDATED, "authorize the payment", "the payment provider")
    await shop.until("stuck")
    assert (await handle.query(OrderWorkflow.progress)).stuck == "authorize: no answer"
    shop.payments.at_authorize.open()
    assert await handle.result() is OrderStatus.COMPLETED


async def test_an_order_whose_parcel_is_being_handed_over_waits_for_warehouse_and_carrier(shop: Shop) -> None:
    shop.carrier.at_dispatch.close()
    handle = await shop.place()
    await shop.carrier.at_dispatch.reached()
    assert await doing(handle) == (
        OrderStatus.FULFILLING,
        "prepare and hand over the parcel",
        "the warehouse and the carrier",
    )
    shop.carrier.at_dispatch.open()
    assert await handle.result() is OrderStatus.COMPLETED
    assert await handle.query(OrderWorkflow.progress) == Progress(OrderStatus.COMPLETED, "ended")


async def test_an_order_on_its_way_waits_for_the_carrier(shop: Shop) -> None:
    shop.carrier.delivers_after = A_LONG_WAY
    handle = await shop.place()
    await shop.until("dispatched")
    assert await doing(handle) == (OrderStatus.SHIPPED, "deliver", "the carrier")
    await shop.carrier_says(ShipmentStatus.DELIVERED)
    assert await handle.result() is OrderStatus.COMPLETED


async def test_an_order_that_has_ended_waits_for_nothing(shop: Shop) -> None:
    shop.ledger.stock["MUG"] = None
    handle = await shop.place()
    assert await handle.result() is OrderStatus.REJECTED
    assert await handle.query(OrderWorkflow.progress) == Progress(OrderStatus.REJECTED, "ended")


async def test_an_order_whose_parcel_was_refused_once_still_waits_for_the_carrier(shop: Shop) -> None:
    shop.carrier.refusals = 1
    handle = await shop.place(policy=replace(NO_REVIEW, dispatch_retry_after=timedelta(hours=1)))
    await shop.until("dispatch_failed")
    _, _, waits_for = await doing(handle)
    assert "the carrier" in (waits_for or "")
