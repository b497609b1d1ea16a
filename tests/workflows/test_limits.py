"""An order takes so many messages and no more, except the one that ends it."""

from __future__ import annotations

import asyncio

from temporalio.client import WorkflowUpdateFailedError

from orders.model import OrderStatus
from orders.workflows.desk import MAX_MESSAGES
from orders.workflows.order import OrderWorkflow
from tests.workflows.conftest import BY_PERSON, CANCEL, OTHER_CARD, Shop, ask, refusal


async def test_an_order_that_has_had_too_many_messages_refuses_all_but_a_cancel(shop: Shop) -> None:
    handle = await shop.place(policy=BY_PERSON)
    await shop.until("review_started")
    for _ in range(10):
        batch = [ask(handle, OrderWorkflow.retry_payment, OTHER_CARD) for _ in range(MAX_MESSAGES // 10)]
        answers = await asyncio.gather(*batch, return_exceptions=True)
        assert all(isinstance(answer, WorkflowUpdateFailedError) for answer in answers)
    assert shop.trail.count("refused") == MAX_MESSAGES
    reason = await refusal(ask(handle, OrderWorkflow.retry_payment, OTHER_CARD))
    assert reason == f"the order has had {MAX_MESSAGES} messages: it can only be cancelled now"
    assert shop.trail.count("refused") == MAX_MESSAGES
    await handle.execute_update(OrderWorkflow.cancel, CANCEL)
    assert await handle.result() is OrderStatus.CANCELLED
