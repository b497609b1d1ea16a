"""Who said what, in which trace: every event says where it comes from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orders.contracts import AmendOrder, CancelPayment, ChangeAddress
from orders.model import OrderStatus
from orders.workflows.order import OrderWorkflow
from tests.examples import WORK
from tests.workflows.conftest import APPROVE, BY_PERSON, CANCEL, LONG_REVIEW, OTHER_CARD, Shop, ask, refusal

PLACED = "0" * 32


def traces(shop: Shop, *kinds: str) -> list[tuple[str, str | None]]:
    """Who is behind these events, and in which trace."""
    return [(shop.said(kind).actor, shop.said(kind).trace_id) for kind in kinds]


async def test_all_that_an_order_does_by_itself_belongs_to_the_trace_in_which_it_was_placed(shop: Shop) -> None:
    handle = await shop.place(policy=LONG_REVIEW, trace_id=PLACED)
    assert await handle.result() is OrderStatus.COMPLETED
    received, *rest = shop.ledger.trails[shop.order_id]
    assert (received.actor, received.trace_id) == ("ann", PLACED)
    assert {(event.actor, event.trace_id) for event in rest} == {("system", PLACED)}


async def test_what_a_message_does_belongs_to_the_trace_of_the_message(shop: Shop) -> None:
    shop.ledger.stock["MUG"] = 1
    shop.warehouse.at_pick.close()
    handle = await shop.place(policy=BY_PERSON, trace_id=PLACED)
    await shop.until("review_started")
    await handle.execute_update(OrderWorkflow.review, APPROVE)
    await shop.until("stock_short")
    await handle.execute_update(OrderWorkflow.amend, AmendOrder(None, "amy", "1" * 32))
    await shop.warehouse.at_pick.reached()
    await handle.execute_update(OrderWorkflow.change_address, ChangeAddress(WORK, "adam", "2" * 32))
    calling_off = ask(handle, OrderWorkflow.cancel_payment, CancelPayment(None, "paul", "3" * 32))
    await shop.until("refunded")
    shop.warehouse.at_pick.open()
    await calling_off
    await handle.execute_update(OrderWorkflow.retry_payment, OTHER_CARD)
    assert await handle.result() is OrderStatus.COMPLETED
    assert traces(shop, "review_passed", "amended", "address_changed", "payment_method_changed") == [
        ("rita", APPROVE.trace_id),
        ("amy", "1" * 32),
        ("adam", "2" * 32),
        ("ann", OTHER_CARD.trace_id),
    ]
    assert traces(shop, "payment_cancel_requested", "payment_cancelled") == [("paul", "3" * 32)] * 2
    assert traces(shop, "stock_short", "refunded", "recalled", "completed") == [("system", PLACED)] * 4


async def test_a_cancellation_belongs_to_the_trace_of_the_message_and_its_undoing_to_that_of_the_order(
    shop: Shop,
) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place(trace_id=PLACED)
    await shop.warehouse.at_pick.reached()
    cancelling = ask(handle, OrderWorkflow.cancel, replace(CANCEL, trace_id="4" * 32))
    await shop.until("refunded")
    shop.warehouse.at_pick.open()
    await cancelling
    assert await handle.result() is OrderStatus.CANCELLED
    assert traces(shop, "cancel_requested", "cancelled") == [("ann", "4" * 32)] * 2
    assert traces(shop, "refund_requested", "refunded", "stock_released") == [("system", PLACED)] * 3


@pytest.mark.parametrize(
    ("update", "message", "name"),
    [
        (OrderWorkflow.cancel, CANCEL, "cancel"),
        (OrderWorkflow.review, APPROVE, "review"),
        (OrderWorkflow.amend, AmendOrder(None, "amy"), "amend"),
        (OrderWorkflow.change_address, ChangeAddress(WORK, "adam"), "change_address"),
        (OrderWorkflow.cancel_payment, CancelPayment(None, "paul"), "cancel_payment"),
        (OrderWorkflow.retry_payment, OTHER_CARD, "retry_payment"),
    ],
    ids=["cancel", "review", "amend", "change_address", "cancel_payment", "retry_payment"],
)
async def test_a_message_that_is_refused_is_on_record_with_who_sent_it(
    shop: Shop, update: object, message: object, name: str
) -> None:
    sent = replace(message, actor="mallory", trace_id="5" * 32)  # type: ignore[type-var]
    shop.carrier.at_dispatch.close()
    handle = await shop.place(trace_id=PLACED)
    await shop.carrier.at_dispatch.reached()
    reason = await refusal(ask(handle, update, sent))
    assert (shop.last.type, shop.last.data) == ("refused", {"request": name, "reason": reason})
    assert (shop.last.actor, shop.last.trace_id) == ("mallory", "5" * 32)
    shop.carrier.at_dispatch.open()
    assert await handle.result() is OrderStatus.COMPLETED
