"""Legal moves, and an order as the fold of its events."""

from __future__ import annotations

import copy
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.errors import IllegalMove, InvalidAmount
from orders.model import (
    BEFORE_DISPATCH,
    FINAL,
    ORDER_BY_EVENT,
    ORDER_MOVES,
    PAYMENT_MOVES,
    REPEATABLE,
    SHIPMENT_MOVES,
    Event,
    EventType,
    OrderStatus,
    Origin,
    PaymentStatus,
    ShipmentStatus,
    move,
)
from orders.order import Holding, Order, fold, receive
from tests.examples import DETAILS, HOME, TOTAL, WORK

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = (NOW + timedelta(days=3)).isoformat()
E = EventType
MONEY = {"amount": TOTAL, "currency": "USD"}
AUTHORIZATION = {"key": "o1:authorize:1", **MONEY}
CAPTURE = {"key": "o1:capture:1", "authorization": "o1:authorize:1", **MONEY}
VOID = {"key": "o1:void:1", "authorization": "o1:authorize:1", **MONEY}
REFUND = {"key": "o1:refund:1", "authorization": "o1:authorize:1", **MONEY}
ONE_MUG = [{"sku": "ABC123", "qty": 1, "price": 9999}, {"sku": "MUG", "qty": 1, "price": 1250}]


def began() -> tuple[Order, list[Event]]:
    order, received = receive("o1", DETAILS, NOW, Origin("ann", "a" * 32))
    return order, [received]


def live(*steps: tuple[EventType, dict[str, Any]]) -> tuple[Order, list[Event]]:
    order, events = began()
    events += [order.record(kind, NOW, **copy.deepcopy(data)) for kind, data in steps]
    return order, events


Step = tuple[EventType, dict[str, Any]]
SHORT: tuple[Step, ...] = (
    (E.VALIDATED, {}),
    (E.STOCK_SHORT, {"short": [{"sku": "MUG", "wanted": 2, "available": 1}], "until": LATER}),
)
REQUESTED: tuple[Step, ...] = (
    (E.VALIDATED, {}),
    (E.STOCK_RESERVED, {}),
    (E.PAYMENT_REQUESTED, {"method": "tok_visa", **AUTHORIZATION}),
)
HELD_READY: tuple[Step, ...] = (*REQUESTED, (E.PAYMENT_AUTHORIZED, {"reference": "r", **AUTHORIZATION}))
PAID: tuple[Step, ...] = (*HELD_READY, (E.PAYMENT_CAPTURED, {"reference": "r", **AUTHORIZATION}))
JOURNEY: tuple[Step, ...] = (
    (E.SHIPMENT_REQUESTED, {"shipment": "o1:1"}),
    (E.PICKED, {}),
    (E.PACKED, {}),
    (E.LABELLED, {"carrier": "c", "tracking_number": "t"}),
    (E.DISPATCHED, {"address": asdict(HOME)}),
)
SHIPPED: tuple[Step, ...] = (*PAID, *JOURNEY)
SHIPPED_UNPAID: tuple[Step, ...] = (*HELD_READY, *JOURNEY)


@pytest.mark.parametrize("moves", [ORDER_MOVES, PAYMENT_MOVES, SHIPMENT_MOVES])
def test_every_status_has_its_row_and_every_move_leads_to_a_status(moves: dict[str, frozenset[str]]) -> None:
    axis = type(next(iter(moves)))
    assert set(moves) == set(axis)  # type: ignore[call-overload]
    assert all(following <= set(moves) for following in moves.values())


def test_every_order_status_can_be_reached_and_leads_to_an_end() -> None:
    reached, border = {OrderStatus.RECEIVED}, {OrderStatus.RECEIVED}
    while border:
        border = set().union(*(ORDER_MOVES[status] for status in border)) - reached
        reached |= border
    assert reached == set(OrderStatus)
    assert {
        OrderStatus.COMPLETED,
        OrderStatus.CANCELLED,
        OrderStatus.REJECTED,
        OrderStatus.EXPIRED,
        OrderStatus.FAILED,
    } == FINAL
    assert BEFORE_DISPATCH.isdisjoint(FINAL | {OrderStatus.SHIPPED})
    assert all(OrderStatus.CANCELLED in ORDER_MOVES[status] for status in BEFORE_DISPATCH)


def test_a_move_that_the_table_lacks_is_refused() -> None:
    assert move(SHIPMENT_MOVES, ShipmentStatus.PACKED, ShipmentStatus.LABELLED) is ShipmentStatus.LABELLED
    with pytest.raises(IllegalMove, match="dispatched can't become recalled"):
        move(SHIPMENT_MOVES, ShipmentStatus.DISPATCHED, ShipmentStatus.RECALLED)


@pytest.mark.parametrize("status", OrderStatus)
def test_only_what_a_customer_can_get_wrong_twice_may_follow_on_itself(status: OrderStatus) -> None:
    if status in REPEATABLE:
        assert move(ORDER_MOVES, status, status) is status
    else:
        with pytest.raises(IllegalMove):
            move(ORDER_MOVES, status, status)


def test_a_delivered_order_went_through_all_statuses() -> None:
    order, _ = live(*SHIPPED, (E.DELIVERED, {}), (E.COMPLETED, {}))
    assert (order.status, order.payment.status, order.shipment.status) == (
        OrderStatus.COMPLETED,
        PaymentStatus.CAPTURED,
        ShipmentStatus.DELIVERED,
    )
    assert (order.payment.captured, order.payment.refunded) == (TOTAL, 0)
    assert order.shipment.address == HOME


@pytest.mark.parametrize(
    "steps",
    [
        ((E.PAYMENT_CAPTURED, {"reference": "r", **AUTHORIZATION}),),
        (*REQUESTED, (E.PAYMENT_CAPTURED, {"reference": "r", **AUTHORIZATION})),
        (*SHIPPED, (E.CANCELLED, {})),
        (*SHIPPED, (E.RECALLED, {})),
        (*SHIPPED, (E.EXPIRED, {})),
        (*SHIPPED, (E.PAYMENT_CANCELLED, {"reason": None})),
        (*SHIPPED, (E.DELIVERED, {}), (E.IN_TRANSIT, {})),
        (*PAID, (E.COMPLETED, {})),
        (*PAID, (E.VOID_REQUESTED, VOID)),
        (*PAID, (E.PAYMENT_REQUESTED, {"key": "o1:authorize:2", **MONEY})),
        (*PAID, (E.STOCK_SHORT, {"short": [], "until": LATER})),
        (*SHORT, (E.REVIEW_STARTED, {"until": LATER})),
    ],
)
def test_an_event_that_is_not_legal_leaves_the_order_as_it_was(steps: tuple[Any, ...]) -> None:
    *before, (kind, data) = steps
    order, _ = live(*before)
    was = copy.deepcopy(order)
    with pytest.raises(IllegalMove):
        order.record(kind, NOW, **data)
    assert order == was


@pytest.mark.parametrize("amount", [TOTAL + 1, -1])
def test_an_amount_that_cannot_be_leaves_the_order_as_it_was(amount: int) -> None:
    order, _ = live(*PAID, (E.REFUND_REQUESTED, REFUND))
    was = copy.deepcopy(order)
    with pytest.raises(InvalidAmount):
        order.record(E.REFUNDED, NOW, reference="r", **{**REFUND, "amount": amount})
    assert order == was


def test_an_event_says_who_is_behind_it_and_in_which_trace() -> None:
    order, [received] = began()
    assert (received.actor, received.trace_id) == ("ann", "a" * 32)
    validated = order.record(E.VALIDATED, NOW, Origin("bob", "b" * 32))
    assert (validated.seq, validated.actor, validated.trace_id) == (2, "bob", "b" * 32)
    assert order.record(E.STOCK_RESERVED, NOW).actor == "system"


def test_an_amended_order_asks_for_less() -> None:
    order, _ = live(*SHORT, (E.AMENDED, {"lines": ONE_MUG, "currency": "USD"}), (E.STOCK_RESERVED, {}))
    assert order.details.total.amount == TOTAL - 1250
    assert order.stock == {"ABC123": Holding(held=1), "MUG": Holding(held=1)}


@pytest.mark.parametrize(
    ("steps", "stock"),
    [
        (REQUESTED, {"ABC123": Holding(held=1), "MUG": Holding(held=2)}),
        (SHIPPED, {"ABC123": Holding(taken=1), "MUG": Holding(taken=2)}),
        ((*SHIPPED, (E.LOST, {})), {"ABC123": Holding(taken=1), "MUG": Holding(taken=2)}),
        ((*SHIPPED, (E.RETURNED, {})), {}),
        ((*REQUESTED, (E.STOCK_RELEASED, {})), {}),
        (SHORT, {}),
    ],
    ids=["reserved", "dispatched", "lost", "returned", "released", "short"],
)
def test_the_goods_of_an_order_are_where_its_events_say(steps: tuple[Step, ...], stock: dict[str, Holding]) -> None:
    order, _ = live(*steps)
    assert order.stock == stock


def test_an_order_that_gets_on_is_neither_stuck_nor_waiting_any_more() -> None:
    order, _ = live(*SHORT)
    waiting = copy.deepcopy(order)
    assert waiting.waiting_until == NOW + timedelta(days=3)
    order.record(E.STUCK, NOW, axis="payment", reason="nobody answers")
    order.record(E.STUCK, NOW, axis="shipment", reason="no news")
    order.record(E.AMENDED, NOW, lines=ONE_MUG, currency="USD")
    amended = copy.deepcopy(order)
    order.record(E.PAYMENT_REQUESTED, NOW, **AUTHORIZATION)
    assert (amended.why_stuck, order.why_stuck) == ("nobody answers; no news", "no news")
    assert order.waiting_until is None


@pytest.mark.parametrize(
    "event",
    [
        (E.PAYMENT_DECLINED, {"key": "o1:authorize:1", "reason": "no"}),
        (E.PAYMENT_AUTHORIZED, {"reference": "r", **AUTHORIZATION}),
    ],
)
def test_a_parcel_on_its_way_stays_so_whatever_becomes_of_its_money(event: Step) -> None:
    declined = (E.PAYMENT_DECLINED, {"key": "o1:capture:1", "reason": "too late"})
    order, _ = live(*SHIPPED_UNPAID, (E.CAPTURE_REQUESTED, CAPTURE), declined, (E.PAYMENT_REQUESTED, AUTHORIZATION))
    kind, data = event
    order.record(kind, NOW, **data)
    assert order.status is OrderStatus.SHIPPED


STEPS = st.lists(
    st.sampled_from(
        [
            *SHIPPED,
            *SHORT,
            (E.REVIEW_STARTED, {"by_person": True, "until": LATER}),
            (E.REVIEW_PASSED, {}),
            (E.REJECTED, {"reason": None}),
            (E.AMENDED, {"lines": ONE_MUG, "currency": "USD"}),
            (E.STOCK_RELEASED, {}),
            (E.PAYMENT_DECLINED, {"key": "o1:authorize:1", "reason": "no"}),
            (E.PAYMENT_CANCELLED, {"reason": None}),
            (E.PAYMENT_NOTICED, {"notice": "n", "reference": "r"}),
            (E.CAPTURE_REQUESTED, CAPTURE),
            (E.PAYMENT_CAPTURED, {"reference": "r", **CAPTURE}),
            (E.VOID_REQUESTED, VOID),
            (E.VOIDED, VOID),
            (E.VOIDED, {**VOID, "amount": 0}),
            (E.REFUND_REQUESTED, REFUND),
            (E.REFUNDED, {"reference": "r", **REFUND}),
            (E.DISPATCH_FAILED, {"attempt": 1, "of": 3, "reason": "no"}),
            (E.IN_TRANSIT, {}),
            (E.LOST, {}),
            (E.RETURNED, {}),
            (E.RECALLED, {}),
            (E.REFUSED, {"request": "cancel", "reason": "too late"}),
            (E.STUCK, {"axis": "payment", "reason": "nobody answers"}),
            (E.CANCEL_REQUESTED, {"reason": None}),
            (E.PAYMENT_CANCEL_REQUESTED, {"reason": None}),
            (E.ADDRESS_CHANGED, {"address": asdict(WORK)}),
            (E.PAYMENT_METHOD_CHANGED, {"payment_method": "tok_amex"}),
            (E.DELIVERED, {}),
            (E.COMPLETED, {}),
            (E.CANCELLED, {"reason": None}),
            (E.EXPIRED, {"reason": "late"}),
            (E.FAILED, {"reason": "lost"}),
        ]
    ),
    max_size=40,
)


@given(st.sampled_from([(), SHORT, REQUESTED, HELD_READY, PAID, SHIPPED, SHIPPED_UNPAID]), STEPS)
def test_an_order_is_the_fold_of_its_events_whatever_happens(
    before: tuple[Step, ...], steps: list[tuple[EventType, dict[str, Any]]]
) -> None:
    order, events = live(*before)
    for kind, data in steps:
        was = copy.deepcopy(order)
        try:
            events.append(order.record(kind, NOW, **data))
        except (IllegalMove, InvalidAmount, IndexError):
            assert order == was
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert fold("o1", events) == order
    payment = order.payment
    assert 0 <= payment.refunded <= payment.captured
    assert 0 <= payment.held <= payment.authorized


def test_only_the_order_axis_has_an_end_that_no_event_leaves() -> None:
    for kind, status in ORDER_BY_EVENT.items():
        order, _ = began()
        order.status = OrderStatus.COMPLETED
        with pytest.raises(IllegalMove):
            order.record(kind, NOW)
        assert status not in ORDER_MOVES[OrderStatus.COMPLETED]


def test_a_trail_that_does_not_begin_with_received_is_refused() -> None:
    with pytest.raises(ValueError, match="begins with received, this one with validated"):
        fold("o1", [Event(1, E.VALIDATED, NOW, "ann", {})])
