"""An order takes so many messages and no more, except the one that ends it."""

from __future__ import annotations

import asyncio

from temporalio.client import WorkflowUpdateFailedError

from orders.contracts import PaymentNotice
from orders.model import OrderStatus, ShipmentStatus
from orders.workflows.desk import KEPT_FOR_CANCELS, MAX_MESSAGES
from orders.workflows.order import MAX_NOTICES, OrderWorkflow
from tests.counting import History
from tests.workflows.conftest import A_LONG_WAY, BY_PERSON, CANCEL, OTHER_CARD, OrderHandle, Shop, ask, refusal


async def flood(handle: OrderHandle) -> None:
    """Send as many messages as an order takes."""
    for _ in range(10):
        batch = [ask(handle, OrderWorkflow.retry_payment, OTHER_CARD) for _ in range(MAX_MESSAGES // 10)]
        answers = await asyncio.gather(*batch, return_exceptions=True)
        assert all(isinstance(answer, WorkflowUpdateFailedError) for answer in answers)


async def test_an_order_that_has_had_too_many_messages_refuses_all_but_a_cancel(shop: Shop) -> None:
    handle = await shop.place(policy=BY_PERSON)
    await shop.until("review_started")
    await flood(handle)
    assert shop.trail.count("refused") == MAX_MESSAGES
    reason = await refusal(ask(handle, OrderWorkflow.retry_payment, OTHER_CARD))
    assert reason == f"the order has had {MAX_MESSAGES} messages: it can only be cancelled now"
    assert shop.trail.count("refused") == MAX_MESSAGES
    await handle.execute_update(OrderWorkflow.cancel, CANCEL)
    assert await handle.result() is OrderStatus.CANCELLED
    cost = await History.of(shop.environment.client, handle.id)
    print(f"{cost.events} events")
    # Temporal ends a workflow at 51,200: docs/decisions/0006-no-continue-as-new.md.
    assert cost.events < 8 * MAX_MESSAGES


async def test_cancels_that_come_too_late_do_not_fill_the_trail_either(shop: Shop) -> None:
    shop.carrier.delivers_after = A_LONG_WAY
    handle = await shop.place()
    await shop.until("dispatched")
    await flood(handle)
    reason = await refusal(ask(handle, OrderWorkflow.cancel, CANCEL))
    assert reason == "the order is shipped: it can't be cancelled any more"
    await asyncio.gather(
        *(ask(handle, OrderWorkflow.cancel, CANCEL) for _ in range(KEPT_FOR_CANCELS - 1)), return_exceptions=True
    )
    assert "it takes no more" in await refusal(ask(handle, OrderWorkflow.cancel, CANCEL))
    for number in range(MAX_NOTICES + 3):
        await handle.signal(OrderWorkflow.payment_noticed, PaymentNotice(f"ntc_{number}", "dispute", "ref"))
    await shop.carrier_says(ShipmentStatus.DELIVERED)
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.trail.count("refused") == MAX_MESSAGES + KEPT_FOR_CANCELS
    assert shop.trail.count("payment_noticed") == MAX_NOTICES
