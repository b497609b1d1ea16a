"""The simulated partners, with their books in a real PostgreSQL: one effect for one key."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import select

from orders.contracts import Authorize, Capture, Refund, Track, Void
from orders.errors import DispatchRefused, PartnerMisuse, PartnerUnavailable
from orders.ledger.engine import Database
from orders.model import ShipmentStatus
from orders.money import Money
from orders.ports import Booking
from orders.settings import PartnerSettings, load
from tests.examples import DETAILS, HOME, WORK, new_id
from workers.gateways.books import CarrierBooks, PaymentBooks, parcels
from workers.gateways.books import payments as payments_book
from workers.gateways.simulated import DECLINES, SimulatedCarrier, SimulatedPayments, SimulatedWarehouse


@pytest.fixture
def payments(database: Database) -> SimulatedPayments:
    return SimulatedPayments(PaymentBooks(database), load(PartnerSettings))


def carrier_of(database: Database, **settings: str) -> SimulatedCarrier:
    return SimulatedCarrier(CarrierBooks(database), load(PartnerSettings, **settings))


def authorize_by(method: str = "tok_visa", *, capture: bool = True) -> Authorize:
    order_id = new_id()
    return Authorize(f"{order_id}:authorize:1", order_id, Money(9999, "USD"), method, capture)


def refund_of(request: Authorize, key: str = "refund:1", amount: int = 9999) -> Refund:
    return Refund(f"{request.order_id}:{key}", request, Money(amount, "USD"))


def book_of(database: Database, request: Authorize) -> tuple[str, int, int, int]:
    with database.engine.connect() as connection:
        row = connection.execute(select(payments_book).where(payments_book.c.key == request.key)).one()
    return row.status, row.captured, row.refunded, row.asked


async def test_money_asked_for_many_times_at_once_is_taken_once(
    payments: SimulatedPayments, database: Database
) -> None:
    request = authorize_by()
    answers = await asyncio.gather(*(payments.authorize(request) for _ in range(10)))
    assert len(set(answers)) == 1
    assert answers[0].reference
    assert book_of(database, request) == ("captured", 9999, 0, 10)


async def test_money_that_is_held_ready_is_taken_once_however_often_it_is_asked_for(
    payments: SimulatedPayments, database: Database
) -> None:
    request = authorize_by(capture=False)
    await payments.authorize(request)
    assert book_of(database, request)[:2] == ("authorized", 0)
    capture = Capture(f"{request.order_id}:capture:1", request)
    assert await payments.capture(capture) == await payments.capture(capture)
    assert book_of(database, request)[:2] == ("captured", 9999)


@pytest.mark.parametrize("method", [*DECLINES, "tok_unheard_of"])
async def test_a_token_that_does_not_pay_is_declined_with_the_reason(payments: SimulatedPayments, method: str) -> None:
    request = authorize_by(method)
    first, again = await payments.authorize(request), await payments.authorize(request)
    assert first == again
    assert first.reference is None
    assert first.declined in {*DECLINES.values(), "tok_unheard_of is no payment method"}


async def test_an_answer_that_gets_lost_is_the_same_when_it_is_asked_for_again(payments: SimulatedPayments) -> None:
    request = authorize_by("tok_answer_lost")
    with pytest.raises(PartnerUnavailable):
        await payments.authorize(request)
    assert (await payments.authorize(request)).reference


async def test_an_authorization_that_has_expired_can_not_be_captured(payments: SimulatedPayments) -> None:
    request = authorize_by("tok_capture_declined", capture=False)
    assert (await payments.authorize(request)).reference
    answer = await payments.capture(Capture("c", request))
    assert (answer.reference, answer.declined) == (None, "the authorization has expired")


async def test_a_refund_asked_for_twice_gives_back_once(payments: SimulatedPayments, database: Database) -> None:
    request = authorize_by()
    await payments.authorize(request)
    assert await payments.refund(refund_of(request)) == await payments.refund(refund_of(request))
    assert book_of(database, request)[1:3] == (9999, 9999)


@pytest.mark.parametrize("refund", [{"amount": 10_000}, {"amount": 0}, {"amount": -1}])
async def test_a_refund_of_more_than_was_taken_or_of_less_than_something_is_refused(
    payments: SimulatedPayments, database: Database, refund: dict[str, int]
) -> None:
    request = authorize_by()
    await payments.authorize(request)
    with pytest.raises(PartnerMisuse):
        await payments.refund(refund_of(request, **refund))  # type: ignore[arg-type]
    assert book_of(database, request)[2] == 0


async def test_a_second_refund_under_another_key_is_refused(payments: SimulatedPayments) -> None:
    request = authorize_by()
    await payments.authorize(request)
    await payments.refund(refund_of(request))
    with pytest.raises(PartnerMisuse):
        await payments.refund(refund_of(request, key="refund:2"))


async def test_a_void_lets_go_what_is_held_ready_and_nothing_is_taken_later(
    payments: SimulatedPayments, database: Database
) -> None:
    request = authorize_by(capture=False)
    await payments.authorize(request)
    answers = {await payments.void(Void("v", request)) for _ in range(2)}
    assert {answer.captured for answer in answers} == {Money(0, "USD")}
    assert (await payments.capture(Capture("c", request))).declined
    assert book_of(database, request)[:2] == ("void", 0)


async def test_a_void_of_what_was_taken_says_so_and_leaves_it(payments: SimulatedPayments) -> None:
    request = authorize_by()
    await payments.authorize(request)
    assert (await payments.void(Void("v", request))).captured == Money(9999, "USD")


async def test_an_authorization_that_comes_after_its_void_holds_nothing(payments: SimulatedPayments) -> None:
    request = authorize_by()
    assert (await payments.void(Void("v", request))).captured == Money(0, "USD")
    assert (await payments.authorize(request)).declined == "the payment was called off"


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
        SimulatedPayments(PaymentBooks(database), slow).authorize(authorize_by()),
        SimulatedWarehouse(slow).pick("s", DETAILS.lines),
    ):
        start = loop.time()
        await call
        assert loop.time() - start >= 0.19


async def test_no_carrier_goes_to_the_antarctic(database: Database) -> None:
    with pytest.raises(DispatchRefused, match="no carrier goes to AQ"):
        await carrier_of(database).choose(replace(HOME, country="AQ"), DETAILS.lines)


async def test_a_parcel_that_was_refused_may_go_with_another_carrier(database: Database) -> None:
    carrier = carrier_of(database)
    shipment_id = f"{new_id()}:1"
    await carrier.book(shipment_id, "Inland Parcel")
    booking = await carrier.book(shipment_id, "World Freight")
    await carrier.dispatch(shipment_id, booking, HOME)
    with database.engine.connect() as connection:
        row = connection.execute(select(parcels).where(parcels.c.shipment_id == shipment_id)).one()
    assert (row.carrier, row.tracking_number) == tuple(booking)
