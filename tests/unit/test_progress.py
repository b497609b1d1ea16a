"""What an order says of itself, in every status that it can have."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orders.model import FINAL, OrderStatus
from orders.progress import Progress, progress
from tests.unit.test_model import (
    AUTHORIZATION,
    CAPTURE,
    HELD_READY,
    LATER,
    NOW,
    PAID,
    REFUND,
    REQUESTED,
    SHIPPED,
    SHIPPED_UNPAID,
    SHORT,
    VOID,
    E,
    Step,
    began,
    live,
)

DECLINED: Step = (E.PAYMENT_DECLINED, {"key": "o1:authorize:1", "reason": "no", "until": LATER})
TOO_LATE: Step = (E.PAYMENT_DECLINED, {"key": "o1:capture:1", "reason": "too late"})
LEAVING: tuple[Step, ...] = (*PAID, (E.SHIPMENT_REQUESTED, {"shipment": "o1:1"}))


@pytest.mark.parametrize(
    ("steps", "step", "waits_for"),
    [
        ((), "validate", "a worker of the queue orders"),
        (((E.VALIDATED, {}),), "reserve the stock", "the ledger"),
        (((E.VALIDATED, {}), (E.REVIEW_STARTED, {})), "review", "a decision: approve or reject"),
        (SHORT, "reserve the stock", "the customer: amend or cancel"),
        (REQUESTED, "authorize the payment", "the payment provider"),
        ((*REQUESTED, DECLINED), "pay", "another payment method"),
        ((*REQUESTED, DECLINED, (E.PAYMENT_REQUESTED, AUTHORIZATION)), "authorize the payment", "the payment provider"),
        ((*HELD_READY, (E.VOID_REQUESTED, VOID)), "let the money go", "the payment provider"),
        (PAID, "ship", "a worker of the queue orders"),
        (LEAVING, "prepare and hand over the parcel", "the warehouse and the carrier"),
        ((*LEAVING, (E.RECALLED, {}), (E.REFUND_REQUESTED, REFUND)), "give the money back", "the payment provider"),
        (SHIPPED, "deliver", "the carrier"),
        ((*SHIPPED, (E.IN_TRANSIT, {})), "deliver", "the carrier"),
        ((*SHIPPED, (E.LOST, {})), "end the order", "the ledger"),
        ((*SHIPPED_UNPAID, (E.CAPTURE_REQUESTED, CAPTURE), TOO_LATE), "collect the money", "another payment method"),
        (
            (*SHIPPED_UNPAID, (E.CAPTURE_REQUESTED, CAPTURE), TOO_LATE, (E.DELIVERED, {})),
            "collect the money",
            "another payment method",
        ),
    ],
)
def test_an_order_says_what_it_does_and_what_it_waits_for(steps: tuple[Step, ...], step: str, waits_for: str) -> None:
    order, _ = live(*steps)
    found = progress(order)
    assert (found.status, found.step, found.waits_for) == (order.status, step, waits_for)


@pytest.mark.parametrize("status", sorted(FINAL))
def test_an_order_that_has_ended_waits_for_nothing(status: OrderStatus) -> None:
    order, _ = began()
    order.status = status
    assert progress(order) == Progress(status, "ended")


def test_an_order_says_until_when_it_waits_and_why_it_is_stuck() -> None:
    order, _ = live(*SHORT, (E.STUCK, {"axis": "payment", "reason": "nobody answers"}))
    assert (progress(order).until, progress(order).stuck) == (NOW + timedelta(days=3), "nobody answers")
