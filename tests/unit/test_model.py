"""Legal moves, and an order as the fold of its events."""

from __future__ import annotations

import copy
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.errors import IllegalMove
from orders.model import (
    BEFORE_DISPATCH,
    FINAL,
    ORDER_BY_EVENT,
    ORDER_MOVES,
    PAYMENT_MOVES,
    SHIPMENT_MOVES,
    Event,
    EventType,
    Order,
    OrderStatus,
    PaymentStatus,
    ShipmentStatus,
    fold,
    move,
    receive,
)
from tests.examples import DETAILS, HOME, TOTAL, WORK

NOW = datetime(2026, 1, 1, tzinfo=UTC)
E = EventType
MONEY = {"amount": TOTAL, "currency": "USD"}


def began() -> tuple[Order, list[Event]]:
    order, received = receive("o1", DETAILS, NOW, "ann")
    return order, [received]


def live(*steps: tuple[EventType, dict[str, Any]]) -> tuple[Order, list[Event]]:
    order, events = began()
    events += [order.record(kind, NOW, **copy.deepcopy(data)) for kind, data in steps]
    return order, events


Step = tuple[EventType, dict[str, Any]]
PAID: tuple[Step, ...] = (
    (E.VALIDATED, {}),
    (E.PAYMENT_REQUESTED, {"key": "o1:charge:1", **MONEY}),
    (E.PAYMENT_CAPTURED, {"key": "o1:charge:1", "reference": "r", **MONEY}),
)
SHIPPED: tuple[Step, ...] = (
    *PAID,
    (E.SHIPMENT_REQUESTED, {"shipment": "o1:1"}),
    (E.PICKED, {}),
    (E.PACKED, {}),
    (E.LABELLED, {"carrier": "c", "tracking_number": "t"}),
    (E.DISPATCHED, {"address": asdict(HOME)}),
)


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
        ((E.PAYMENT_CAPTURED, {"key": "k", "reference": "r", **MONEY}),),
        (*SHIPPED, (E.CANCELLED, {})),
        (*SHIPPED, (E.RECALLED, {})),
        (*PAID, (E.COMPLETED, {})),
        (*PAID, (E.PAYMENT_REQUESTED, {"key": "o1:charge:2", **MONEY})),
    ],
)
def test_an_event_that_is_not_legal_leaves_the_order_as_it_was(steps: tuple[Any, ...]) -> None:
    *before, (kind, data) = steps
    order, _ = live(*before)
    was = copy.deepcopy(order)
    with pytest.raises(IllegalMove):
        order.record(kind, NOW, **data)
    assert order == was


def test_a_charge_whose_answer_was_lost_counts_as_taken_when_it_comes_back() -> None:
    order, _ = live(
        *PAID[:2],
        (E.REFUND_REQUESTED, {"key": "o1:refund:1", "charge": "o1:charge:1", **MONEY}),
        (E.REFUNDED, {"key": "o1:refund:1", "charge": "o1:charge:1", "reference": "r", **MONEY}),
    )
    assert (order.payment.captured, order.payment.refunded) == (TOTAL, TOTAL)
    assert order.payment.status is PaymentStatus.REFUNDED


def test_a_charge_that_never_was_ends_as_cancelled() -> None:
    order, _ = live(
        *PAID[:2],
        (E.REFUND_REQUESTED, {"key": "o1:refund:1", "charge": "o1:charge:1", **MONEY}),
        (E.REFUNDED, {"key": "o1:refund:1", "charge": "o1:charge:1", "reference": None, "amount": 0}),
    )
    assert (order.payment.captured, order.payment.refunded) == (0, 0)
    assert order.payment.status is PaymentStatus.CANCELLED


def test_keys_count_the_operations_of_their_kind() -> None:
    order, _ = live(*PAID)
    assert order.payment.next_key("o1", "charge") == "o1:charge:2"
    assert order.payment.next_key("o1", "refund") == "o1:refund:1"


STEPS = st.lists(
    st.sampled_from(
        [
            *SHIPPED,
            (E.REVIEW_STARTED, {"until": "x"}),
            (E.REVIEW_PASSED, {}),
            (E.PAYMENT_DECLINED, {"key": "o1:charge:1", "reason": "no"}),
            (E.PAYMENT_CANCELLED, {"reason": None}),
            (E.REFUND_REQUESTED, {"key": "o1:refund:1", "charge": "o1:charge:1", **MONEY}),
            (E.REFUNDED, {"key": "o1:refund:1", "charge": "o1:charge:1", "reference": "r", **MONEY}),
            (E.RECALLED, {}),
            (E.ADDRESS_CHANGED, {"address": asdict(WORK)}),
            (E.PAYMENT_METHOD_CHANGED, {"payment_method": "tok_amex"}),
            (E.DELIVERED, {}),
            (E.COMPLETED, {}),
            (E.CANCELLED, {"reason": None}),
            (E.EXPIRED, {"reason": "late"}),
        ]
    ),
    max_size=25,
)


@given(STEPS)
def test_an_order_is_the_fold_of_its_events_whatever_happens(steps: list[tuple[EventType, dict[str, Any]]]) -> None:
    order, events = began()
    for kind, data in steps:
        try:
            events.append(order.record(kind, NOW, **data))
        except (IllegalMove, IndexError, StopIteration):
            continue
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert fold("o1", events) == order
    assert 0 <= order.payment.refunded <= order.payment.captured


def test_only_the_order_axis_has_an_end_that_no_event_leaves() -> None:
    for kind, status in ORDER_BY_EVENT.items():
        order, _ = began()
        order.status = OrderStatus.COMPLETED
        with pytest.raises(IllegalMove):
            order.record(kind, NOW)
        assert status not in ORDER_MOVES[OrderStatus.COMPLETED]


def test_a_trail_that_does_not_begin_with_received_is_refused() -> None:
    with pytest.raises(ValueError, match="begins with validated"):
        fold("o1", [Event(1, E.VALIDATED, NOW, "ann", {})])
