"""The money of an order, as its events have it."""

from __future__ import annotations

import copy

import pytest

from orders.errors import InvalidAmount
from orders.model import EventType, PaymentStatus
from orders.payment import Payment
from tests.examples import TOTAL
from tests.unit.test_model import AUTHORIZATION, CAPTURE, HELD_READY, PAID, REFUND, REQUESTED, VOID, E, Step, live

DECLINED: Step = (E.PAYMENT_DECLINED, {"key": "o1:authorize:1", "reason": "no funds"})
CAPTURED_LATER: Step = (E.PAYMENT_CAPTURED, {"reference": "r2", **CAPTURE})
REFUNDED: Step = (E.REFUNDED, {"reference": "r3", **REFUND})


@pytest.mark.parametrize(
    ("steps", "status", "authorized", "captured", "refunded"),
    [
        ((), PaymentStatus.UNPAID, 0, 0, 0),
        (REQUESTED, PaymentStatus.PENDING, 0, 0, 0),
        ((*REQUESTED, DECLINED), PaymentStatus.DECLINED, 0, 0, 0),
        (HELD_READY, PaymentStatus.AUTHORIZED, TOTAL, 0, 0),
        (PAID, PaymentStatus.CAPTURED, TOTAL, TOTAL, 0),
        ((*HELD_READY, (E.CAPTURE_REQUESTED, CAPTURE)), PaymentStatus.AUTHORIZED, TOTAL, 0, 0),
        ((*HELD_READY, (E.CAPTURE_REQUESTED, CAPTURE), CAPTURED_LATER), PaymentStatus.CAPTURED, TOTAL, TOTAL, 0),
        ((*HELD_READY, (E.VOID_REQUESTED, VOID)), PaymentStatus.VOIDING, TOTAL, 0, 0),
        ((*PAID, (E.REFUND_REQUESTED, REFUND)), PaymentStatus.REFUNDING, TOTAL, TOTAL, 0),
        ((*PAID, (E.REFUND_REQUESTED, REFUND), REFUNDED), PaymentStatus.REFUNDED, 0, TOTAL, TOTAL),
    ],
)
def test_the_money_is_where_its_events_say(
    steps: tuple[Step, ...], status: PaymentStatus, authorized: int, captured: int, refunded: int
) -> None:
    payment = live(*steps)[0].payment
    assert (payment.status, payment.authorized, payment.captured, payment.refunded) == (
        status,
        authorized,
        captured,
        refunded,
    )
    assert payment.held == captured - refunded


def test_more_than_was_authorized_can_not_be_taken() -> None:
    order, _ = live(*REQUESTED, (E.VOID_REQUESTED, VOID))
    was = copy.deepcopy(order)
    with pytest.raises(InvalidAmount, match="can't be taken of 0"):
        order.record(E.PAYMENT_CAPTURED, order.updated_at, reference="r", **CAPTURE)
    assert order == was


@pytest.mark.parametrize("before", [REQUESTED, HELD_READY], ids=["no answer", "held ready"])
def test_money_that_was_only_held_ready_is_let_go(before: tuple[Step, ...]) -> None:
    payment = live(*before, (E.VOID_REQUESTED, VOID), (E.VOIDED, {**VOID, "amount": 0}))[0].payment
    assert (payment.status, payment.authorized, payment.captured) == (PaymentStatus.CANCELLED, 0, 0)
    assert [operation.status for operation in payment.operations] == ["cancelled", "succeeded"]


def test_money_whose_answer_was_lost_counts_as_taken_when_it_cannot_be_let_go_any_more() -> None:
    payment = live(*REQUESTED, (E.VOID_REQUESTED, VOID), (E.VOIDED, VOID))[0].payment
    assert (payment.status, payment.authorized, payment.held) == (PaymentStatus.CAPTURED, TOTAL, TOTAL)
    order, _ = live(*REQUESTED, (E.VOID_REQUESTED, VOID), (E.VOIDED, VOID), (E.REFUND_REQUESTED, REFUND), REFUNDED)
    assert (order.payment.status, order.payment.authorized, order.payment.held) == (PaymentStatus.REFUNDED, 0, 0)
    assert [(each.kind, each.status) for each in order.payment.operations] == [
        ("authorize", "refunded"),
        ("void", "succeeded"),
        ("refund", "succeeded"),
    ]


def test_a_second_card_after_a_refund_is_counted_beside_the_first() -> None:
    second = {**AUTHORIZATION, "key": "o1:authorize:2", "reference": "r4"}
    order, _ = live(
        *PAID,
        (E.REFUND_REQUESTED, REFUND),
        REFUNDED,
        (E.PAYMENT_CANCELLED, {"reason": None}),
        (E.PAYMENT_METHOD_CHANGED, {"payment_method": "tok_amex"}),
        (E.PAYMENT_REQUESTED, second),
        (E.PAYMENT_AUTHORIZED, second),
        (E.PAYMENT_CAPTURED, second),
    )
    payment = order.payment
    assert (payment.authorized, payment.captured, payment.refunded, payment.held) == (TOTAL, 2 * TOTAL, TOTAL, TOTAL)
    assert [each.method for each in payment.operations] == ["tok_visa", "tok_visa", "tok_amex"]


def test_every_question_is_kept_with_its_answer() -> None:
    asked = live(*REQUESTED)[0].payment.operations[0]
    assert (asked.key, asked.kind, asked.amount, asked.method) == ("o1:authorize:1", "authorize", TOTAL, "tok_visa")
    assert (asked.status, asked.reference, asked.error) == ("pending", None, None)
    answered = live(*HELD_READY)[0].payment.operations[0]
    assert (answered.status, answered.reference) == ("succeeded", "r")
    declined = live(*REQUESTED, DECLINED)[0].payment.operations[0]
    assert (declined.status, declined.error) == ("declined", "no funds")


def test_keys_count_the_operations_of_their_kind() -> None:
    payment = live(*PAID)[0].payment
    assert payment.next_key("o1", "authorize") == "o1:authorize:2"
    assert payment.next_key("o1", "capture") == "o1:capture:1"
    assert payment.next_key("o1", "refund") == "o1:refund:1"


@pytest.mark.parametrize("kind", [E.PAYMENT_REQUESTED, E.PAYMENT_CAPTURED, E.VOIDED, E.REFUNDED])
def test_a_negative_amount_is_refused(kind: EventType) -> None:
    payment = Payment()
    was = copy.deepcopy(payment)
    with pytest.raises(InvalidAmount, match="-1 is negative"):
        payment.take(kind, {**REFUND, "reference": "r", "amount": -1}, "tok_visa")
    assert payment == was


def test_no_more_comes_back_than_the_shop_has() -> None:
    payment = live(*PAID)[0].payment
    with pytest.raises(InvalidAmount, match="can't be given back"):
        payment.take(E.REFUNDED, {**REFUND, "reference": "r", "amount": TOTAL + 1}, "tok_visa")
    assert payment.held == TOTAL
