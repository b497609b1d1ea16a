"""What a carrier tells about a parcel: in any order, twice, too early, or never."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orders.contracts import ShipmentAnswer, ShipmentReport, ShipmentStep, ShipmentTrouble
from orders.errors import PartnerUnavailable
from orders.model import OrderStatus, PaymentStatus, ShipmentStatus
from orders.order import Holding
from orders.policy import Policy
from orders.workflows.order import OrderWorkflow
from tests.examples import TOTAL
from tests.workflows.conftest import A_LONG_WAY, NO_REVIEW, ON_DISPATCH, OrderHandle, Shop

IN_TRANSIT, DELIVERED = ShipmentStatus.IN_TRANSIT, ShipmentStatus.DELIVERED
LOST, RETURNED = ShipmentStatus.LOST, ShipmentStatus.RETURNED
TAKEN = {"ABC123": Holding(taken=1), "MUG": Holding(taken=2)}


async def on_its_way(shop: Shop, policy: Policy = NO_REVIEW) -> OrderHandle:
    """Have a parcel on its way that its carrier says nothing about when it is asked."""
    shop.carrier.delivers_after = A_LONG_WAY
    shop.carrier.look_again_after = timedelta(days=1000)
    handle = await shop.place(policy=policy)
    await shop.until("dispatched")
    return handle


async def leaving(shop: Shop) -> OrderHandle:
    """Have a parcel whose carrier has not said yet that it took it."""
    shop.carrier.delivers_after = A_LONG_WAY
    shop.carrier.at_dispatch.close()
    handle = await shop.place()
    await shop.carrier.at_dispatch.reached()
    return handle


async def test_an_order_is_completed_when_its_carrier_says_that_the_parcel_was_delivered(shop: Shop) -> None:
    handle = await on_its_way(shop)
    await shop.carrier_says(IN_TRANSIT)
    await shop.until("in_transit")
    assert (shop.order.status, shop.order.shipment.status) == (OrderStatus.SHIPPED, IN_TRANSIT)
    await shop.carrier_says(DELIVERED, "evt_2")
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.trail[-4:] == ["dispatched", "in_transit", "delivered", "completed"]
    assert shop.carrier.asked_where == 0


async def test_a_parcel_may_be_delivered_without_having_been_in_transit(shop: Shop) -> None:
    handle = await on_its_way(shop)
    await shop.carrier_says(DELIVERED)
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.trail[-3:] == ["dispatched", "delivered", "completed"]


async def test_news_that_comes_twice_is_on_record_once(shop: Shop) -> None:
    handle = await on_its_way(shop)
    await shop.carrier_says(IN_TRANSIT, "evt_1")
    await shop.carrier_says(IN_TRANSIT, "evt_1")
    await shop.carrier_says(IN_TRANSIT, "evt_2")
    await shop.until("in_transit")
    await shop.carrier_says(DELIVERED, "evt_3")
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.trail.count("in_transit") == shop.trail.count("delivered") == 1


async def test_an_event_id_that_was_heard_before_changes_nothing(shop: Shop) -> None:
    handle = await on_its_way(shop)
    await shop.carrier_says(IN_TRANSIT, "evt_1")
    await shop.until("in_transit")
    await shop.carrier_says(LOST, "evt_1")
    await shop.carrier_says(DELIVERED, "evt_2")
    assert await handle.result() is OrderStatus.COMPLETED


async def test_news_may_come_before_the_carrier_has_answered_the_hand_over(shop: Shop) -> None:
    handle = await leaving(shop)
    await shop.carrier_says(IN_TRANSIT, "evt_1")
    await shop.carrier_says(DELIVERED, "evt_2")
    shop.carrier.at_dispatch.open()
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.trail[-5:] == ["labelled", "dispatched", "in_transit", "delivered", "completed"]


async def test_what_comes_after_what_follows_it_is_left_out(shop: Shop) -> None:
    handle = await leaving(shop)
    await shop.carrier_says(DELIVERED, "evt_1")
    await shop.carrier_says(IN_TRANSIT, "evt_2")
    shop.carrier.at_dispatch.open()
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.trail[-3:] == ["dispatched", "delivered", "completed"]


async def test_a_parcel_that_is_lost_fails_its_order_and_gives_the_money_back_but_not_the_goods(shop: Shop) -> None:
    handle = await on_its_way(shop)
    await shop.carrier_says(LOST)
    assert await handle.result() is OrderStatus.FAILED
    assert shop.trail[-4:] == ["lost", "refund_requested", "refunded", "failed"]
    assert shop.last.data == {"reason": "the parcel was lost"}
    assert (shop.payments.held, shop.order.payment.status) == (0, PaymentStatus.REFUNDED)
    assert shop.order.stock == TAKEN


async def test_a_parcel_that_is_returned_fails_its_order_and_gives_back_the_money_and_the_goods(shop: Shop) -> None:
    handle = await on_its_way(shop)
    assert shop.order.stock == TAKEN
    await shop.carrier_says(IN_TRANSIT, "evt_1")
    await shop.until("in_transit")
    await shop.carrier_says(RETURNED, "evt_2")
    assert await handle.result() is OrderStatus.FAILED
    assert shop.trail[-4:] == ["returned", "refund_requested", "refunded", "failed"]
    assert shop.last.data == {"reason": "the parcel was returned"}
    assert (shop.payments.held, shop.order.stock) == (0, {})


@pytest.mark.parametrize("end", [LOST, RETURNED])
async def test_money_taken_on_dispatch_comes_back_when_the_parcel_does_not_arrive(
    shop: Shop, end: ShipmentStatus
) -> None:
    handle = await on_its_way(shop, ON_DISPATCH)
    await shop.until("capture_requested")
    await shop.carrier_says(end)
    assert await handle.result() is OrderStatus.FAILED
    assert (shop.payments.taken, shop.payments.held) == ({f"{shop.order_id}:authorize:1": TOTAL}, 0)


async def test_a_parcel_known_as_lost_when_it_is_handed_over_fails_its_order(shop: Shop) -> None:
    handle = await leaving(shop)
    await shop.carrier_says(LOST)
    shop.carrier.at_dispatch.open()
    assert await handle.result() is OrderStatus.FAILED
    assert shop.payments.held == 0


async def test_a_parcel_of_which_nothing_is_heard_is_stuck_until_it_arrives_after_all(shop: Shop) -> None:
    handle = await on_its_way(shop, replace(NO_REVIEW, delivery_timeout=timedelta(days=2)))
    await shop.environment.sleep(timedelta(days=1.9))
    assert shop.order.why_stuck is None
    await shop.environment.sleep(timedelta(days=10))
    await shop.until("stuck")
    assert shop.order.why_stuck == "no news of the parcel for 2 days, 0:00:00"
    assert (shop.order.status, shop.trail.count("stuck")) == (OrderStatus.SHIPPED, 1)
    await shop.carrier_says(DELIVERED)
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.order.why_stuck is None


async def test_news_ends_being_stuck_and_gives_the_parcel_its_time_anew(shop: Shop) -> None:
    handle = await on_its_way(shop, replace(NO_REVIEW, delivery_timeout=timedelta(days=2)))
    await shop.environment.sleep(timedelta(days=3))
    await shop.until("stuck")
    await shop.carrier_says(IN_TRANSIT)
    await shop.until("in_transit")
    assert shop.order.why_stuck is None
    heard = await shop.environment.get_current_time()
    await shop.environment.sleep(timedelta(days=1.9))
    assert shop.order.why_stuck is None
    await shop.environment.sleep(timedelta(days=0.2))
    await shop.until("stuck", times=2)
    assert shop.said("stuck").at - heard > timedelta(days=1.9)
    await shop.carrier_says(DELIVERED, "evt_2")
    assert await handle.result() is OrderStatus.COMPLETED


async def test_the_money_is_kept_when_a_parcel_arrives(shop: Shop) -> None:
    handle = await on_its_way(shop)
    await shop.carrier_says(DELIVERED)
    assert await handle.result() is OrderStatus.COMPLETED
    assert (shop.payments.held, shop.order.stock) == (TOTAL, TAKEN)
    assert "stock_released" not in shop.trail


@pytest.mark.parametrize("end", [DELIVERED, LOST])
async def test_a_parcel_hears_two_pieces_of_news_that_come_at_once(shop: Shop, end: ShipmentStatus) -> None:
    handle = await on_its_way(shop)
    await shop.carrier_says(IN_TRANSIT, "evt_1")
    await shop.carrier_says(end, "evt_2")
    assert await handle.result() is (OrderStatus.COMPLETED if end is DELIVERED else OrderStatus.FAILED)


async def test_a_carrier_that_does_not_answer_does_not_hide_that_news_of_the_parcel_are_overdue(
    shop: Shop,
) -> None:
    shop.carrier.delivers_after = A_LONG_WAY
    shop.carrier.away = PartnerUnavailable("the carrier is away")
    handle = await shop.place(policy=replace(NO_REVIEW, delivery_timeout=timedelta(days=2)))
    await shop.until("dispatched")
    await shop.environment.sleep(timedelta(days=2, hours=1))
    await shop.until("stuck")
    assert shop.order.why_stuck == "no news of the parcel for 2 days, 0:00:00"
    await shop.carrier_says(ShipmentStatus.DELIVERED)
    assert await handle.result() is OrderStatus.COMPLETED


async def test_what_a_carrier_tells_stands_on_record_as_its_word_also_where_it_changes_nothing(shop: Shop) -> None:
    shop.carrier.at_dispatch.close()
    handle = await shop.place()
    await shop.carrier.at_dispatch.reached()
    await shop.carrier_says(ShipmentStatus.LOST, "evt_1")
    await shop.carrier_says(ShipmentStatus.IN_TRANSIT, "evt_2")
    shop.carrier.delivers_after = A_LONG_WAY
    shop.carrier.at_dispatch.open()
    assert await handle.result() is OrderStatus.FAILED
    assert (shop.said("lost").actor, shop.said("lost").data) == ("carrier", {"event": "evt_1"})
    refused = shop.said("refused")
    assert (refused.actor, refused.data["event"]) == ("carrier", "evt_2")
    assert refused.data["reason"] == "in_transit changes nothing any more"


async def test_what_an_earlier_parcel_says_late_changes_nothing(shop: Shop) -> None:
    shop.carrier.delivers_after = A_LONG_WAY
    handle = await shop.place()
    await shop.until("dispatched")
    stranger = f"{shop.order_id}:9"
    step = ShipmentStep(ShipmentStatus.LOST, datetime.now(UTC))
    await handle.signal(OrderWorkflow.shipment_reported, ShipmentReport(stranger, [step], []))
    await handle.signal(OrderWorkflow.shipment_in_trouble, ShipmentTrouble(stranger, [step], [], "no", refused=True))
    await handle.signal(OrderWorkflow.shipment_answered, ShipmentAnswer(stranger, 1, accepted=True))
    await handle.signal(OrderWorkflow.shipment_answered, ShipmentAnswer(shop.shipment_id, 7, accepted=True))
    await shop.carrier_says(ShipmentStatus.DELIVERED)
    assert await handle.result() is OrderStatus.COMPLETED
    assert not {"lost", "dispatch_failed"} & set(shop.trail)
