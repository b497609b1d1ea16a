"""On which terms an order takes a message: its key is new, and the order is as its sender has seen it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from orders.contracts import KEY_REUSED, STALE, ChangeAddress, Terms
from orders.workflows.order import OrderWorkflow
from tests.examples import WORK
from tests.workflows.conftest import BY_PERSON, CANCEL, OrderHandle, Shop

MOVE = ChangeAddress(WORK, "ann")


async def in_review(shop: Shop) -> OrderHandle:
    handle = await shop.place(policy=BY_PERSON)
    await shop.until("review_started")
    return handle


async def refused_as(kind: str, handle: OrderHandle, message: ChangeAddress) -> None:
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await handle.execute_update(OrderWorkflow.change_address, message)
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == kind


async def test_a_message_for_another_version_leaves_nothing_in_the_history_and_the_trail(shop: Shop) -> None:
    handle = await in_review(shop)
    for versions in ((), (1,), (2, 4)):
        await refused_as(STALE, handle, replace(MOVE, terms=Terms(versions=versions)))
    await handle.execute_update(OrderWorkflow.change_address, replace(MOVE, terms=Terms(versions=(1, 3))))
    assert shop.trail == ["received", "validated", "review_started", "address_changed"]
    kinds = [event.event_type async for event in handle.fetch_history_events()]
    assert kinds.count(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED) == 1
    await shop.replay(shop.order)


async def test_of_two_messages_for_the_same_version_the_second_is_too_late(shop: Shop) -> None:
    handle = await in_review(shop)
    messages = [replace(MOVE, actor=actor, terms=Terms(versions=(3,))) for actor in ("ann", "bob")]
    answers = await asyncio.gather(
        *(handle.execute_update(OrderWorkflow.change_address, message) for message in messages),
        return_exceptions=True,
    )
    assert sorted(answer is None for answer in answers) == [False, True]
    assert shop.trail.count("address_changed") == 1


async def test_a_version_is_good_for_one_change_also_while_that_waits_for_the_parcel(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.until("shipment_requested")
    await shop.warehouse.at_pick.reached()
    terms = Terms(versions=(len(shop.trail),))
    messages = [replace(MOVE, actor=actor, terms=terms) for actor in ("ann", "bob")]
    asked = [asyncio.create_task(handle.execute_update(OrderWorkflow.change_address, message)) for message in messages]
    await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    shop.warehouse.at_pick.open()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sorted(answer is None for answer in answers) == [False, True]
    assert shop.trail.count("address_changed") == 1
    await handle.result()
    await shop.replay(shop.order)


async def test_a_key_is_of_one_message_also_when_another_worker_goes_on_with_the_order(shop: Shop) -> None:
    handle = await in_review(shop)
    keyed = Terms(key="k" * 24)
    await handle.execute_update(OrderWorkflow.change_address, replace(MOVE, terms=keyed), id="first")
    # The same id is answered by Temporal alone; with another one it is another message under the same key.
    await handle.execute_update(OrderWorkflow.change_address, replace(MOVE, terms=keyed), id="first")
    await refused_as(KEY_REUSED, handle, replace(MOVE, terms=keyed))
    assert shop.trail.count("address_changed") == 1
    await handle.execute_update(OrderWorkflow.cancel, replace(CANCEL, terms=Terms(key="l" * 24)))
    await shop.replay(shop.order)
