"""The simulated partners, with their books in a real PostgreSQL: one effect for one key."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from orders.contracts import Charge, Refund, Track
from orders.errors import PartnerUnavailable
from orders.ledger.engine import Database
from orders.model import ShipmentStatus
from orders.money import Money
from orders.ports import Booking
from orders.settings import PartnerSettings, load
from tests.examples import DETAILS, HOME, WORK, new_id
from workers.gateways.books import CarrierBooks, PaymentBooks, charges, parcels
from workers.gateways.simulated import DECLINES, SimulatedCarrier, SimulatedPayments, SimulatedWarehouse


@pytest.fixture
def payments(database: Database) -> SimulatedPayments:
    return SimulatedPayments(PaymentBooks(database), load(PartnerSettings))


def carrier_of(database: Database, **settings: str) -> SimulatedCarrier:
    return SimulatedCarrier(CarrierBooks(database), load(PartnerSettings, **settings))


def charge_by(method: str = "tok_visa") -> Charge:
    return Charge(f"{new_id()}:charge:1", Money(9999, "USD"), method)


async def test_a_charge_asked_for_many_times_at_once_is_taken_once(
    payments: SimulatedPayments, database: Database
) -> None:
    charge = charge_by()
    answers = await asyncio.gather(*(payments.charge(charge) for _ in range(10)))
    assert len(set(answers)) == 1
    assert answers[0].reference
    with database.engine.connect() as connection:
        rows = connection.execute(select(charges).where(charges.c.key == charge.key)).all()
    assert [(row.amount, row.asked) for row in rows] == [(9999, 10)]


@pytest.mark.parametrize("method", [*DECLINES, "tok_unheard_of"])
async def test_a_token_that_does_not_pay_is_declined_with_the_reason(payments: SimulatedPayments, method: str) -> None:
    charge = charge_by(method)
    first, again = await payments.charge(charge), await payments.charge(charge)
    assert first == again
    assert first.reference is None
    assert first.declined in {*DECLINES.values(), "tok_unheard_of is no payment method"}


async def test_an_answer_that_gets_lost_is_the_same_when_it_is_asked_for_again(payments: SimulatedPayments) -> None:
    charge = charge_by("tok_answer_lost")
    with pytest.raises(PartnerUnavailable):
        await payments.charge(charge)
    assert (await payments.charge(charge)).reference


async def test_a_refund_asked_for_twice_gives_back_once(payments: SimulatedPayments, database: Database) -> None:
    charge = charge_by()
    await payments.charge(charge)
    refund = Refund(charge.key.replace("charge", "refund"), charge)
    assert await payments.refund(refund) == await payments.refund(refund)
    with database.engine.connect() as connection:
        assert connection.execute(select(charges.c.refunded).where(charges.c.key == charge.key)).scalar_one() == 9999


async def test_a_charge_that_comes_after_its_refund_takes_nothing(payments: SimulatedPayments) -> None:
    charge = charge_by()
    answer = await payments.refund(Refund("r", charge))
    assert answer.returned == Money(0, "USD")
    assert (await payments.charge(charge)).declined == "the payment was called off"


async def test_a_parcel_is_handed_over_once_with_the_first_label(database: Database) -> None:
    carrier = carrier_of(database)
    shipment_id = f"{new_id()}:1"
    booking = await carrier.book(shipment_id, await carrier.choose(HOME, DETAILS.lines))
    assert booking == await carrier.book(shipment_id, booking.carrier)
    first = await carrier.dispatch(shipment_id, booking, HOME)
    again = await carrier.dispatch(shipment_id, booking, WORK)
    assert first == again
    assert first.status is ShipmentStatus.DELIVERED
    with database.engine.connect() as connection:
        row = connection.execute(select(parcels).where(parcels.c.shipment_id == shipment_id)).one()
    assert (row.dispatches, row.label["street"]) == (2, HOME.street)


async def test_a_parcel_on_its_way_says_when_to_look_again(database: Database) -> None:
    carrier = carrier_of(database, CARRIER_TRANSIT="0.2")
    shipment_id = f"{new_id()}:1"
    booking = await carrier.book(shipment_id, "Inland Parcel")
    tracking = await carrier.dispatch(shipment_id, booking, HOME)
    assert tracking.status is ShipmentStatus.DISPATCHED
    assert tracking.look_again_after
    await asyncio.sleep(tracking.look_again_after.total_seconds())
    assert (await carrier.track(Track(*booking))).status is ShipmentStatus.DELIVERED


async def test_a_parcel_that_was_not_booked_is_not_taken(database: Database) -> None:
    with pytest.raises(PartnerUnavailable, match="no booking"):
        await carrier_of(database).dispatch(new_id(), Booking("Inland Parcel", "T"), HOME)


async def test_partners_take_as_long_as_they_are_told_to(database: Database) -> None:
    slow = load(PartnerSettings, PAYMENT_LATENCY="0.2", WAREHOUSE_LATENCY="0.2")
    loop = asyncio.get_running_loop()
    for call in (
        SimulatedPayments(PaymentBooks(database), slow).charge(charge_by()),
        SimulatedWarehouse(slow).pick("s", DETAILS.lines),
    ):
        start = loop.time()
        await call
        assert loop.time() - start >= 0.19
