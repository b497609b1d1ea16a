"""Orders that are rejected, or that nobody answers for."""

from __future__ import annotations

from dataclasses import replace

from orders.contracts import AmendOrder, CancelPayment
from orders.details import OrderLine
from orders.workflows.order import OrderWorkflow
from tests.examples import DETAILS, TOTAL
from tests.replay.lives.life import NOBODY_REVIEWS, SHORTLY, begun, life
from tests.workflows.conftest import BY_PERSON, DECLINED, LONG_REVIEW, NO_REVIEW, REJECT, Shop

UNPAID = replace(NO_REVIEW, payment_timeout=SHORTLY)


@life
async def rejected_as_nonsense(shop: Shop) -> None:
    await shop.place(replace(DETAILS, lines=(OrderLine("A", 1, 100), OrderLine("A", 1, 200))))


@life
async def rejected_as_unknown(shop: Shop) -> None:
    shop.ledger.stock["MUG"] = None
    await shop.place()


@life
async def rejected_as_unknown_before_its_review(shop: Shop) -> None:
    shop.ledger.stock["MUG"] = None
    await shop.place(policy=BY_PERSON)


@life
async def rejected_as_unknown_after_an_amendment(shop: Shop) -> None:
    shop.ledger.stock["MUG"] = 1
    handle = await shop.place()
    await shop.until("stock_short")
    shop.ledger.stock["ABC123"] = None
    await handle.execute_update(OrderWorkflow.amend, AmendOrder({"MUG": 1}, "ann"))


@life
async def rejected_by_a_person(shop: Shop) -> None:
    handle = await shop.place(policy=BY_PERSON)
    await shop.until("review_started")
    await handle.execute_update(OrderWorkflow.review, REJECT)


@life
async def rejected_by_a_person_before_the_clock_had_passed_it_on(shop: Shop) -> None:
    handle = await shop.place(policy=LONG_REVIEW)
    await shop.until("review_started")
    await handle.execute_update(OrderWorkflow.review, REJECT)


@life
async def rejected_above_the_threshold(shop: Shop) -> None:
    handle = await shop.place(policy=replace(NO_REVIEW, review_threshold=TOTAL - 1))
    await shop.until("review_started")
    await handle.execute_update(OrderWorkflow.review, REJECT)


@life
async def expired_in_review(shop: Shop) -> None:
    await shop.place(policy=NOBODY_REVIEWS)


@life
async def expired_above_the_threshold(shop: Shop) -> None:
    await shop.place(policy=replace(NO_REVIEW, review_threshold=TOTAL - 1, review_threshold_timeout=SHORTLY))


@life
async def expired_in_a_shortage(shop: Shop) -> None:
    shop.ledger.stock["MUG"] = 1
    await shop.place(policy=replace(NO_REVIEW, customer_timeout=SHORTLY))


@life
async def expired_unpaid(shop: Shop) -> None:
    await shop.place(DECLINED, UNPAID)


@life
async def expired_after_its_payment_was_called_off(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place(policy=UNPAID)
    await shop.warehouse.at_pick.reached()
    await begun(handle, OrderWorkflow.cancel_payment, CancelPayment(None, "ann"))
    await shop.until("refunded")
    shop.warehouse.at_pick.open()
