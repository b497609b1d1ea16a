"""The activities: what they ask of their partners, and what they do with the answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from temporalio.testing import ActivityEnvironment

from orders.activities.ledger import LedgerActivities
from orders.activities.payments import PaymentActivities
from orders.activities.shipping import ShippingActivities
from orders.contracts import Authorize, Capture, RecordEvents, Refund, ShipOrder, Void
from orders.errors import PartnerUnavailable
from orders.model import EventType, Origin, ShipmentStatus
from orders.money import Money
from orders.order import receive
from tests.examples import DETAILS, HOME
from tests.fakes import FakeCarrier, FakeLedger, FakePayments, FakeWarehouse
from tests.logged import logged

AUTHORIZE = Authorize("o:authorize:1", "o", Money(9999, "USD"), "tok_visa", capture=False)
SHIP = ShipOrder("o:1", DETAILS.lines, HOME)


async def test_an_authorization_is_passed_on_with_its_key() -> None:
    gateway = FakePayments()
    answer = await ActivityEnvironment().run(PaymentActivities(gateway).authorize, AUTHORIZE)
    assert answer.reference == "ref-o:authorize:1"
    assert (gateway.authorized, gateway.taken) == ({AUTHORIZE.key: 9999}, {})


async def test_a_declined_card_is_an_answer_and_not_an_error() -> None:
    answer = await ActivityEnvironment().run(
        PaymentActivities(FakePayments()).authorize, replace(AUTHORIZE, method="tok_declined")
    )
    assert answer.declined


async def test_an_unknown_outcome_is_an_error_so_that_it_is_asked_again() -> None:
    with pytest.raises(PartnerUnavailable):
        await ActivityEnvironment().run(PaymentActivities(FakePayments(lost_answers=1)).authorize, AUTHORIZE)


async def test_money_is_captured_and_given_back_under_the_authorization_that_it_names() -> None:
    gateway = FakePayments()
    activities = PaymentActivities(gateway)
    await ActivityEnvironment().run(activities.authorize, AUTHORIZE)
    answer = await ActivityEnvironment().run(activities.capture, Capture("o:capture:1", AUTHORIZE))
    assert (answer.reference, gateway.held) == ("ref-o:capture:1", 9999)
    await ActivityEnvironment().run(activities.refund, Refund("o:refund:1", AUTHORIZE, AUTHORIZE.amount))
    assert gateway.held == 0


async def test_money_that_is_let_go_can_not_be_captured() -> None:
    activities = PaymentActivities(FakePayments())
    await ActivityEnvironment().run(activities.authorize, AUTHORIZE)
    answer = await ActivityEnvironment().run(activities.void, Void("o:void:1", AUTHORIZE))
    assert answer.captured == Money(0, "USD")
    assert (await ActivityEnvironment().run(activities.capture, Capture("o:capture:1", AUTHORIZE))).declined


async def test_preparing_picks_and_packs() -> None:
    warehouse = FakeWarehouse()
    steps = await ActivityEnvironment().run(ShippingActivities(warehouse, FakeCarrier()).prepare, SHIP)
    assert [step.status for step in steps] == [ShipmentStatus.PICKED, ShipmentStatus.PACKED]
    assert warehouse.packed == {"o:1"}


async def test_goods_that_are_put_back_are_not_packed_by_an_attempt_that_comes_late() -> None:
    warehouse = FakeWarehouse()
    activities = ShippingActivities(warehouse, FakeCarrier())
    await ActivityEnvironment().run(activities.put_back, SHIP.shipment_id)
    await ActivityEnvironment().run(activities.prepare, SHIP)
    assert (warehouse.packed, warehouse.put_back_) == (set(), {"o:1"})


async def test_dispatching_chooses_books_and_hands_over_in_this_order() -> None:
    carrier = FakeCarrier(delivers_after=1)
    activities = ShippingActivities(FakeWarehouse(), carrier)
    dispatched = (await ActivityEnvironment().run(activities.dispatch, SHIP)).dispatched
    assert dispatched
    assert [step.status for step in dispatched.steps] == [ShipmentStatus.LABELLED, ShipmentStatus.DISPATCHED]
    assert dispatched.steps[0].tracking_number == "T-o:1"
    assert dispatched.tracking.status is ShipmentStatus.DISPATCHED
    assert carrier.labels == {"o:1": HOME}
    tracking = await ActivityEnvironment().run(activities.track, dispatched.track)
    assert tracking.status is ShipmentStatus.DELIVERED


async def test_a_parcel_that_its_carrier_refuses_is_an_answer_and_not_an_error() -> None:
    carrier = FakeCarrier(refusals=1)
    answer = await ActivityEnvironment().run(ShippingActivities(FakeWarehouse(), carrier).dispatch, SHIP)
    assert (answer.dispatched, answer.refused) == (None, "the address is unknown")
    assert carrier.labels == {}


def test_an_event_is_in_the_log_once_it_is_written_by_its_name_and_without_its_data() -> None:
    now = datetime.now(UTC)
    order, received = receive("ord_1", DETAILS, now, Origin("ann", "ab" * 16))
    entry = RecordEvents(order, [received, order.record(EventType.VALIDATED, now)], "run", 3, hold={"MUG": 2})
    ledger = FakeLedger(stock={"MUG": 1})
    with logged() as log:
        assert LedgerActivities(ledger).record(entry).free == {"MUG": 1}
        assert log.entries == []
        ledger.stock = {"MUG": 2}
        LedgerActivities(ledger).record(entry)
    first, second = log.entries
    assert first["message"] == "received"
    about = {name: second.get(name) for name in ("order_id", "event", "seq", "status", "trace_id")}
    assert about == {"order_id": "ord_1", "event": "validated", "seq": 2, "status": "validated", "trace_id": None}
    assert first["trace_id"] == "ab" * 16
    assert "John" not in log.getvalue()
