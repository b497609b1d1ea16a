"""Somebody looks at an order before it goes on: a person, or only the clock."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from orders.model import OrderStatus
from orders.policy import Policy, ReviewMode
from orders.workflows.order import OrderWorkflow
from tests.examples import TOTAL
from tests.workflows.conftest import (
    ACCEPTED,
    APPROVE,
    BY_PERSON,
    CANCEL,
    LONG_REVIEW,
    NO_REVIEW,
    REJECT,
    Shop,
    ask,
    refusal,
)

ABOVE = replace(NO_REVIEW, review_threshold=TOTAL - 1, review_threshold_timeout=timedelta(days=5))


async def test_an_order_that_a_person_must_review_goes_on_when_they_approve_and_says_who_did(shop: Shop) -> None:
    handle = await shop.place(policy=BY_PERSON)
    await shop.until("review_started")
    assert shop.said("review_started").data["by_person"]
    await handle.execute_update(OrderWorkflow.review, APPROVE)
    passed = shop.said("review_passed")
    assert (passed.actor, passed.data, passed.trace_id) == ("rita", {"reason": "looks fine"}, APPROVE.trace_id)
    assert await handle.result() is OrderStatus.COMPLETED


async def test_an_order_that_a_person_must_review_does_not_go_on_by_itself(shop: Shop) -> None:
    handle = await shop.place(policy=BY_PERSON)
    await shop.until("review_started")
    await shop.environment.sleep(timedelta(days=2, hours=23))
    assert shop.order.status is OrderStatus.IN_REVIEW
    assert shop.payments.asked.total() == 0
    await handle.execute_update(OrderWorkflow.review, APPROVE)
    assert await handle.result() is OrderStatus.COMPLETED


@pytest.mark.parametrize("policy", [BY_PERSON, LONG_REVIEW, ABOVE], ids=["required", "timer", "threshold"])
async def test_a_rejected_order_has_ended_when_the_reviewer_gets_the_answer(shop: Shop, policy: Policy) -> None:
    handle = await shop.place(policy=policy)
    await shop.until("review_started")
    shop.ledger.takes = 0.2
    await handle.execute_update(OrderWorkflow.review, REJECT)
    assert shop.order.status is OrderStatus.REJECTED
    assert await handle.result() is OrderStatus.REJECTED
    assert shop.trail == ["received", "validated", "review_started", "rejected"]
    assert (shop.last.actor, shop.last.data, shop.last.trace_id) == (
        "rob",
        {"reason": "looks like fraud"},
        REJECT.trace_id,
    )
    assert (shop.payments.asked.total(), shop.order.stock) == (0, {})


async def test_an_order_expires_when_nobody_reviews_it(shop: Shop) -> None:
    handle = await shop.place(policy=BY_PERSON)
    assert await handle.result() is OrderStatus.EXPIRED
    assert (shop.last.type, shop.last.actor) == ("expired", "system")
    assert "nobody decided within 3 days" in shop.last.data["reason"]
    assert (shop.payments.asked.total(), shop.order.stock) == (0, {})


async def test_an_order_in_review_by_the_clock_goes_on_at_once_when_somebody_approves_sooner(shop: Shop) -> None:
    handle = await shop.place(policy=LONG_REVIEW)
    await shop.until("review_started")
    assert not shop.said("review_started").data["by_person"]
    await handle.execute_update(OrderWorkflow.review, APPROVE)
    await shop.until("completed")
    assert shop.said("completed").at - shop.said("review_started").at < timedelta(hours=1)
    assert shop.trail.count("review_passed") == 1
    assert shop.said("review_passed").actor == "rita"


async def test_the_clock_passes_an_order_on_when_nobody_objects(shop: Shop) -> None:
    handle = await shop.place(policy=LONG_REVIEW)
    assert await handle.result() is OrderStatus.COMPLETED
    passed = shop.said("review_passed")
    assert (passed.actor, passed.data["reason"]) == ("system", "nobody objected in time")
    assert passed.at - shop.said("review_started").at >= timedelta(days=1)


@pytest.mark.parametrize("policy", [ABOVE, replace(ABOVE, review_mode=ReviewMode.TIMER)], ids=["off", "timer"])
async def test_a_person_decides_on_an_order_above_the_threshold_whatever_the_mode(shop: Shop, policy: Policy) -> None:
    handle = await shop.place(policy=policy)
    await shop.until("review_started")
    started = shop.said("review_started")
    assert started.data["by_person"]
    assert await handle.result() is OrderStatus.EXPIRED
    assert shop.last.at - started.at >= timedelta(days=5)


async def test_an_order_at_the_threshold_exactly_goes_on_without_review(shop: Shop) -> None:
    handle = await shop.place(policy=replace(ABOVE, review_threshold=TOTAL))
    assert await handle.result() is OrderStatus.COMPLETED
    assert "review_started" not in shop.trail


async def test_an_order_at_the_threshold_exactly_is_left_to_the_clock(shop: Shop) -> None:
    handle = await shop.place(policy=replace(LONG_REVIEW, review_threshold=TOTAL))
    assert await handle.result() is OrderStatus.COMPLETED
    assert not shop.said("review_started").data["by_person"]


async def test_a_review_of_an_order_that_is_not_in_review_is_refused_and_that_is_on_record(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    reason = await refusal(ask(handle, OrderWorkflow.review, REJECT))
    assert reason == "the order is fulfilling: it waits for no review, or not any more"
    assert (shop.last.type, shop.last.data) == ("refused", {"request": "review", "reason": reason})
    assert (shop.last.actor, shop.last.trace_id) == ("rob", REJECT.trace_id)
    shop.warehouse.at_pick.open()
    assert await handle.result() is OrderStatus.COMPLETED


async def test_an_order_can_be_cancelled_while_a_person_reviews_it(shop: Shop) -> None:
    handle = await shop.place(policy=BY_PERSON)
    await shop.until("review_started")
    await handle.execute_update(OrderWorkflow.cancel, CANCEL)
    assert shop.order.status is OrderStatus.CANCELLED
    assert await handle.result() is OrderStatus.CANCELLED
    assert shop.trail[-2:] == ["cancel_requested", "cancelled"]
    assert (shop.payments.asked.total(), shop.order.stock) == (0, {})


async def test_of_two_reviewers_at_once_the_second_is_refused(shop: Shop) -> None:
    handle = await shop.place(policy=BY_PERSON)
    await shop.until("review_started")
    both = [ask(handle, OrderWorkflow.review, APPROVE) for _ in range(2)]
    answers = await asyncio.gather(*both, return_exceptions=True)
    assert answers.count(None) == 1
    assert await handle.result() is OrderStatus.COMPLETED
    assert (shop.trail.count("review_passed"), shop.trail.count("refused")) == (1, 1)
    assert shop.said("refused").data["reason"].endswith("it waits for no review, or not any more")


async def test_a_rejection_after_an_approval_changes_nothing(shop: Shop) -> None:
    shop.payments.at_authorize.close()
    handle = await shop.place(policy=BY_PERSON)
    await shop.until("review_started")
    await handle.execute_update(OrderWorkflow.review, APPROVE)
    assert "waits for no review, or not any more" in await refusal(ask(handle, OrderWorkflow.review, REJECT))
    shop.payments.at_authorize.open()
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.held == TOTAL


async def test_of_a_rejection_and_a_cancellation_at_once_exactly_one_ends_the_order(shop: Shop) -> None:
    handle = await shop.place(policy=BY_PERSON)
    await shop.until("review_started")
    rejecting, cancelling = ask(handle, OrderWorkflow.review, REJECT), ask(handle, OrderWorkflow.cancel, CANCEL)
    status = await handle.result()
    loser = rejecting if status is OrderStatus.CANCELLED else cancelling
    await (cancelling if loser is rejecting else rejecting)
    reason = await refusal(loser)
    came_first = {OrderStatus.CANCELLED: "cancelled", OrderStatus.REJECTED: "rejected"}[status]
    assert came_first in reason
    assert shop.trail.count("cancelled") + shop.trail.count("rejected") == 1
    refused = shop.said("refused")
    assert (refused.data["reason"], refused.actor) == (reason, "rob" if loser is rejecting else "ann")


async def test_a_decision_counts_although_the_ledger_has_not_written_yet_that_the_review_began(shop: Shop) -> None:
    shop.ledger.refuses = "review_started"
    handle = await shop.place(policy=BY_PERSON, task_timeout=timedelta(seconds=1))
    await shop.until_the_ledger_fails()
    assert (await handle.query(OrderWorkflow.progress)).waits_for == "a decision: approve or reject"
    approving = await handle.start_update(OrderWorkflow.review, APPROVE, wait_for_stage=ACCEPTED)
    shop.ledger.refuses = None
    await approving.result()
    assert await handle.result() is OrderStatus.COMPLETED
