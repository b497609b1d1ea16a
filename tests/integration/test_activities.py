"""The activities: what they ask of their partners, and what they do with the answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from temporalio.testing import ActivityEnvironment

from orders.activities.payments import PaymentActivities
from orders.activities.shipping import ShippingActivities
from orders.contracts import Charge, Refund, ShipOrder
from orders.errors import PartnerUnavailable
from orders.model import ShipmentStatus
from orders.money import Money
from tests.examples import DETAILS, HOME
from tests.fakes import FakeCarrier, FakePayments, FakeWarehouse

CHARGE = Charge("o:charge:1", Money(9999, "USD"), "tok_visa")
SHIP = ShipOrder("o:1", DETAILS.lines, HOME)


async def test_a_charge_is_passed_on_with_its_key() -> None:
    gateway = FakePayments()
    answer = await ActivityEnvironment().run(PaymentActivities(gateway).charge, CHARGE)
    assert answer.reference == "ref-o:charge:1"
    assert gateway.taken == {CHARGE.key: 9999}


async def test_a_declined_charge_is_an_answer_and_not_an_error() -> None:
    answer = await ActivityEnvironment().run(
        PaymentActivities(FakePayments()).charge, replace(CHARGE, method="tok_declined")
    )
    assert answer.declined


async def test_an_unknown_outcome_is_an_error_so_that_it_is_asked_again() -> None:
    with pytest.raises(PartnerUnavailable):
        await ActivityEnvironment().run(PaymentActivities(FakePayments(lost_answers=1)).charge, CHARGE)


async def test_a_refund_names_the_charge_that_it_undoes() -> None:
    gateway = FakePayments()
    activities = PaymentActivities(gateway)
    await ActivityEnvironment().run(activities.charge, CHARGE)
    answer = await ActivityEnvironment().run(activities.refund, Refund("o:refund:1", CHARGE))
    assert answer.returned == CHARGE.amount
    assert gateway.held == 0


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
    dispatched = await ActivityEnvironment().run(activities.dispatch, SHIP)
    assert [step.status for step in dispatched.steps] == [ShipmentStatus.LABELLED, ShipmentStatus.DISPATCHED]
    assert dispatched.steps[0].tracking_number == "T-o:1"
    assert dispatched.tracking.status is ShipmentStatus.DISPATCHED
    assert carrier.labels == {"o:1": HOME}
    tracking = await ActivityEnvironment().run(activities.track, dispatched.track)
    assert tracking.status is ShipmentStatus.DELIVERED
