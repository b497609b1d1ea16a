"""An order's life, on a server that skips time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateStage
from temporalio.exceptions import ApplicationError

from orders.contracts import (
    REFUSED,
    CancelOrder,
    CancelPayment,
    ChangeAddress,
    Policy,
    RetryPayment,
    shipment_workflow_id,
)
from orders.details import Address, OrderLine
from orders.model import OrderStatus, PaymentStatus, ShipmentStatus
from orders.workflows.order import OrderWorkflow
from tests.counting import History
from tests.examples import DETAILS, HOME, TOTAL, WORK
from tests.workflows.conftest import OrderHandle, Shop

ACCEPTED = WorkflowUpdateStage.ACCEPTED
CANCEL = CancelOrder("changed my mind", "ann")
DECLINED = replace(DETAILS, payment_method="tok_declined")
LONG_REVIEW = Policy(review_timeout=timedelta(days=1))


async def refusal(asked: asyncio.Task[None]) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await asked
    assert isinstance(refused.value.cause, ApplicationError)
    assert refused.value.cause.type == REFUSED
    return refused.value.cause.message


def ask(handle: OrderHandle, update: object, message: object) -> asyncio.Task[None]:
    return asyncio.ensure_future(handle.execute_update(update, message))  # type: ignore[call-overload]


async def test_an_order_is_received_paid_shipped_and_completed(shop: Shop) -> None:
    handle = await shop.place()
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.trail == [
        "received",
        "validated",
        "payment_requested",
        "payment_captured",
        "shipment_requested",
        "picked",
        "packed",
        "labelled",
        "dispatched",
        "delivered",
        "completed",
    ]
    assert shop.payments.held == TOTAL
    assert shop.carrier.labels == {shop.shipment_id: HOME}
    assert (shop.order.shipment.carrier, shop.order.shipment.tracking_number) == (
        "Fake Parcel",
        f"T-{shop.shipment_id}",
    )


async def test_an_order_stays_open_for_review_before_anything_is_charged(shop: Shop) -> None:
    handle = await shop.place(policy=LONG_REVIEW)
    await shop.until("review_started")
    assert shop.order.status is OrderStatus.IN_REVIEW
    assert shop.payments.asked.total() == 0
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.trail[2:4] == ["review_started", "review_passed"]


async def test_an_order_that_makes_no_sense_is_rejected_with_the_reason(shop: Shop) -> None:
    handle = await shop.place(replace(DETAILS, lines=(OrderLine("A", 1, 100), OrderLine("A", 1, 200))))
    assert await handle.result() is OrderStatus.REJECTED
    assert shop.trail == ["received", "rejected"]
    assert shop.ledger.trails[shop.order_id][-1].data == {"reason": "A is listed at two prices"}
    assert shop.payments.asked.total() == 0


async def test_an_order_cancelled_in_review_is_never_charged(shop: Shop) -> None:
    handle = await shop.place(policy=LONG_REVIEW)
    await shop.until("review_started")
    await handle.execute_update(OrderWorkflow.cancel, CANCEL)
    assert shop.order.status is OrderStatus.CANCELLED
    assert await handle.result() is OrderStatus.CANCELLED
    assert shop.trail[-2:] == ["cancel_requested", "cancelled"]
    assert shop.ledger.trails[shop.order_id][-1].actor == "ann"
    assert shop.payments.asked.total() == 0


async def test_an_order_cancelled_while_it_is_being_charged_gets_its_money_back(shop: Shop) -> None:
    shop.payments.at_charge.close()
    handle = await shop.place()
    await shop.payments.at_charge.reached()
    cancelling = ask(handle, OrderWorkflow.cancel, CANCEL)
    await shop.until("refunded")
    shop.payments.at_charge.open()
    await cancelling
    assert await handle.result() is OrderStatus.CANCELLED
    assert shop.payments.held == 0
    assert shop.order.payment.status is PaymentStatus.REFUNDED
    assert shop.trail[-4:] == ["cancel_requested", "refund_requested", "refunded", "cancelled"]


async def test_an_order_cancelled_while_it_is_being_packed_is_put_back_and_refunded(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    cancelling = ask(handle, OrderWorkflow.cancel, CANCEL)
    await shop.until("refunded")
    shop.warehouse.at_pick.open()
    await cancelling
    assert await handle.result() is OrderStatus.CANCELLED
    assert shop.payments.held == 0
    assert (shop.warehouse.put_back_, shop.warehouse.packed) == ({shop.shipment_id}, set())
    assert shop.carrier.dispatches.total() == 0
    assert shop.order.shipment.status is ShipmentStatus.RECALLED


async def test_a_cancel_is_refused_at_once_while_the_parcel_is_being_handed_over(shop: Shop) -> None:
    shop.carrier.at_dispatch.close()
    handle = await shop.place()
    await shop.carrier.at_dispatch.reached()
    assert "handed to the carrier" in await refusal(ask(handle, OrderWorkflow.cancel, CANCEL))
    shop.carrier.at_dispatch.open()
    assert await handle.result() is OrderStatus.COMPLETED
    assert "refused" in shop.trail
    assert shop.payments.held == TOTAL


async def test_messages_are_refused_with_the_reason_once_the_parcel_is_on_its_way(shop: Shop) -> None:
    shop.carrier.delivers_after = 1
    handle = await shop.place()
    await shop.until("dispatched")
    assert shop.order.status is OrderStatus.SHIPPED
    for update, message in [
        (OrderWorkflow.cancel, CANCEL),
        (OrderWorkflow.cancel_payment, CancelPayment(None, "ann")),
        (OrderWorkflow.change_address, ChangeAddress(WORK, "ann")),
        (OrderWorkflow.retry_payment, RetryPayment("tok_amex", "ann")),
    ]:
        assert "the order is shipped" in await refusal(ask(handle, update, message))
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.carrier.labels == {shop.shipment_id: HOME}


async def test_a_parcel_is_followed_until_its_carrier_says_that_it_has_arrived(shop: Shop) -> None:
    shop.carrier.delivers_after = 3
    handle = await shop.place()
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.carrier.asked_where == 3
    assert shop.trail.count("dispatched") == shop.trail.count("delivered") == 1


async def test_a_parcel_that_travels_costs_what_the_documentation_says(shop: Shop) -> None:
    shop.carrier.delivers_after = 3
    handle = await shop.place()
    await handle.result()
    cost = await History.of(shop.environment.client, handle.id, shipment_workflow_id(shop.shipment_id))
    asked = shop.carrier.asked_where
    # 40 and 7 without a journey; 10 and 2 for the signal; 11 and 2 for each time that the carrier is asked.
    assert (cost.events, cost.workflow_tasks) == (40 + 10 + 11 * asked, 7 + 2 + 2 * asked)


async def test_an_address_changed_in_review_stands_on_the_label(shop: Shop) -> None:
    handle = await shop.place(policy=LONG_REVIEW)
    await shop.until("review_started")
    await handle.execute_update(OrderWorkflow.change_address, ChangeAddress(WORK, "ann"))
    assert shop.order.details.shipping_address == WORK
    await handle.result()
    assert shop.carrier.labels == {shop.shipment_id: WORK}


async def test_an_address_changed_while_the_parcel_is_being_packed_stands_on_the_label(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    await handle.execute_update(OrderWorkflow.change_address, ChangeAddress(WORK, "ann"))
    shop.warehouse.at_pick.open()
    await handle.result()
    assert shop.carrier.labels == {shop.shipment_id: WORK}
    assert shop.order.shipment.address == WORK


async def test_an_address_changed_while_packing_chooses_the_carrier(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    abroad = Address("Unter den Linden 1", "Berlin", None, "10117", "DE")
    await handle.execute_update(OrderWorkflow.change_address, ChangeAddress(abroad, "ann"))
    shop.warehouse.at_pick.open()
    await handle.result()
    assert (shop.order.shipment.carrier, shop.order.shipment.address) == ("Fake Freight", abroad)


async def test_a_parcel_called_back_by_an_operator_cancels_its_order_and_gives_the_money_back(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    await shop.environment.client.get_workflow_handle(shipment_workflow_id(shop.shipment_id)).cancel()
    await shop.until("refunded")
    shop.warehouse.at_pick.open()
    assert await handle.result() is OrderStatus.CANCELLED
    assert "called back from outside" in shop.ledger.trails[shop.order_id][-1].data["reason"]
    assert (shop.payments.held, shop.warehouse.packed) == (0, set())


async def test_an_order_whose_parcel_was_terminated_fails_with_everything_undone(shop_on_the_real_server: Shop) -> None:
    shop = shop_on_the_real_server
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    await shop.environment.client.get_workflow_handle(shipment_workflow_id(shop.shipment_id)).terminate()
    await shop.until("refunded")
    shop.warehouse.at_pick.open()
    assert await handle.result() is OrderStatus.FAILED
    assert (shop.payments.held, shop.warehouse.packed) == (0, set())


async def test_an_order_whose_parcel_was_terminated_on_its_way_fails_and_keeps_the_money(
    shop_on_the_real_server: Shop,
) -> None:
    shop = shop_on_the_real_server
    shop.carrier.delivers_after = 1
    handle = await shop.place()
    await shop.until("dispatched")
    await shop.environment.client.get_workflow_handle(shipment_workflow_id(shop.shipment_id)).terminate()
    assert await handle.result() is OrderStatus.FAILED
    assert shop.payments.held == TOTAL


async def test_nothing_else_is_accepted_once_a_cancel_is(shop: Shop) -> None:
    shop.payments.refund_failures = 2
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    cancelling = ask(handle, OrderWorkflow.cancel, CANCEL)
    await shop.until("refund_requested")
    assert "being cancelled" in await refusal(ask(handle, OrderWorkflow.change_address, ChangeAddress(WORK, "ann")))
    assert "being cancelled" in await refusal(ask(handle, OrderWorkflow.cancel_payment, CancelPayment(None, "ann")))
    shop.warehouse.at_pick.open()
    await cancelling
    assert await handle.result() is OrderStatus.CANCELLED


async def test_of_two_addresses_at_once_the_last_one_accepted_wins_and_both_are_on_record(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    other = replace(WORK, street="2 Market St")
    await asyncio.gather(
        ask(handle, OrderWorkflow.change_address, ChangeAddress(WORK, "ann")),
        ask(handle, OrderWorkflow.change_address, ChangeAddress(other, "bob")),
    )
    shop.warehouse.at_pick.open()
    await handle.result()
    assert shop.trail.count("address_changed") == 2
    assert shop.carrier.labels == {shop.shipment_id: shop.order.details.shipping_address}


async def test_an_address_is_refused_while_the_parcel_is_being_handed_over(shop: Shop) -> None:
    shop.carrier.at_dispatch.close()
    handle = await shop.place()
    await shop.carrier.at_dispatch.reached()
    assert "handed to the carrier" in await refusal(
        ask(handle, OrderWorkflow.change_address, ChangeAddress(WORK, "ann"))
    )
    shop.carrier.at_dispatch.open()
    await handle.result()
    assert shop.carrier.labels == {shop.shipment_id: HOME}
    assert shop.order.details.shipping_address == HOME


async def test_a_declined_order_waits_for_another_payment_method_and_goes_on_with_it(shop: Shop) -> None:
    handle = await shop.place(DECLINED)
    await shop.until("payment_declined")
    assert shop.order.status is OrderStatus.PAYMENT_FAILED
    await handle.execute_update(OrderWorkflow.retry_payment, RetryPayment("tok_mastercard", "ann"))
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.taken == {f"{shop.order_id}:charge:2": TOTAL}


async def test_a_declined_order_can_be_declined_again_and_be_cancelled(shop: Shop) -> None:
    handle = await shop.place(DECLINED)
    await shop.until("payment_declined")
    await handle.execute_update(OrderWorkflow.retry_payment, RetryPayment("tok_declined", "ann"))
    await shop.until("payment_declined", times=2)
    await handle.execute_update(OrderWorkflow.cancel, CANCEL)
    assert await handle.result() is OrderStatus.CANCELLED
    assert shop.payments.held == 0
    assert "refund_requested" not in shop.trail


async def test_a_declined_order_expires_when_nobody_offers_another_payment_method(shop: Shop) -> None:
    handle = await shop.place(DECLINED)
    assert await handle.result() is OrderStatus.EXPIRED
    assert "no payment within 7 days" in shop.ledger.trails[shop.order_id][-1].data["reason"]


async def test_a_payment_cancelled_in_review_is_not_taken_until_there_is_another_method(shop: Shop) -> None:
    handle = await shop.place(policy=LONG_REVIEW)
    await shop.until("review_started")
    await handle.execute_update(OrderWorkflow.cancel_payment, CancelPayment("wrong card", "ann"))
    assert shop.order.status is OrderStatus.IN_REVIEW
    await shop.environment.sleep(timedelta(days=1, minutes=1))
    await shop.until("payment_cancelled")
    assert shop.payments.asked.total() == 0
    await handle.execute_update(OrderWorkflow.retry_payment, RetryPayment("tok_amex", "ann"))
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.held == TOTAL


async def test_a_payment_cancelled_while_packing_comes_back_and_the_order_ships_once_it_is_paid_anew(
    shop: Shop,
) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    cancelling = ask(handle, OrderWorkflow.cancel_payment, CancelPayment("wrong card", "ann"))
    await shop.until("refunded")
    shop.warehouse.at_pick.open()
    await cancelling
    assert (shop.order.status, shop.payments.held) == (OrderStatus.PAYMENT_FAILED, 0)
    assert "there is nothing to cancel" in await refusal(
        ask(handle, OrderWorkflow.cancel_payment, CancelPayment(None, "ann"))
    )
    await handle.execute_update(OrderWorkflow.retry_payment, RetryPayment("tok_amex", "ann"))
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.held == TOTAL
    assert set(shop.carrier.labels) == {f"{shop.order_id}:2"}


async def test_a_second_offer_is_refused_while_the_first_is_being_tried(shop: Shop) -> None:
    handle = await shop.place(DECLINED)
    await shop.until("payment_declined")
    shop.payments.at_charge.close()
    await handle.execute_update(OrderWorkflow.retry_payment, RetryPayment("tok_amex", "ann"))
    await shop.payments.at_charge.reached()
    assert "doesn't wait" in await refusal(ask(handle, OrderWorkflow.retry_payment, RetryPayment("tok_visa", "ann")))
    shop.payments.at_charge.open()
    assert await handle.result() is OrderStatus.COMPLETED


async def test_a_lost_answer_is_asked_again_under_the_same_key(shop: Shop) -> None:
    shop.payments.lost_answers = 2
    handle = await shop.place()
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.asked == {f"{shop.order_id}:charge:1": 3}
    assert shop.payments.held == TOTAL


async def test_a_refund_is_tried_until_it_is_made(shop: Shop) -> None:
    shop.payments.refund_failures = 3
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    await handle.start_update(OrderWorkflow.cancel, CANCEL, wait_for_stage=ACCEPTED)
    await shop.until("refund_requested")
    shop.warehouse.at_pick.open()
    assert await handle.result() is OrderStatus.CANCELLED
    assert shop.payments.asked[f"{shop.order_id}:refund:1"] == 4
    assert shop.payments.held == 0


async def test_a_ledger_that_is_away_makes_an_order_wait(shop: Shop) -> None:
    shop.ledger.failures = 3
    handle = await shop.place()
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.order.version == 11


async def test_a_write_that_a_dead_worker_has_overtaken_is_decided_anew(shop: Shop) -> None:
    shop.ledger.stale = 2
    handle = await shop.place()
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.order.version == 11


async def test_two_cancellations_of_a_payment_at_once_cancel_it_once(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    both = [ask(handle, OrderWorkflow.cancel_payment, CancelPayment(None, "ann")) for _ in range(2)]
    await shop.until("refunded")
    shop.warehouse.at_pick.open()
    await asyncio.gather(*both, return_exceptions=True)
    await handle.execute_update(OrderWorkflow.retry_payment, RetryPayment("tok_amex", "ann"))
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.trail.count("payment_cancelled") == 1
    assert shop.payments.held == TOTAL


async def test_every_message_at_once_leaves_an_order_that_is_right(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    all_at_once = [
        ask(handle, OrderWorkflow.cancel_payment, CancelPayment(None, "ann")),
        ask(handle, OrderWorkflow.change_address, ChangeAddress(WORK, "ann")),
        ask(handle, OrderWorkflow.cancel, CANCEL),
        ask(handle, OrderWorkflow.cancel_payment, CancelPayment(None, "bob")),
    ]
    await shop.until("refunded")
    shop.warehouse.at_pick.open()
    await asyncio.gather(*all_at_once, return_exceptions=True)
    assert await handle.result() is OrderStatus.CANCELLED
    assert shop.payments.held == 0
    assert shop.trail[-1] == "cancelled"


@pytest.mark.parametrize("gate", ["at_charge", "at_pick"])
async def test_cancelling_the_workflow_itself_undoes_the_same(shop: Shop, gate: str) -> None:
    held = shop.payments.at_charge if gate == "at_charge" else shop.warehouse.at_pick
    held.close()
    handle = await shop.place()
    await held.reached()
    await handle.cancel()
    await shop.until("refunded")
    held.open()
    assert await handle.result() is OrderStatus.CANCELLED
    assert shop.payments.held == 0
    assert shop.carrier.dispatches.total() == 0
    assert shop.ledger.trails[shop.order_id][-1].actor == "temporal"


async def test_cancelling_the_workflow_itself_comes_too_late_once_the_parcel_leaves(shop: Shop) -> None:
    shop.carrier.at_dispatch.close()
    handle = await shop.place()
    await shop.carrier.at_dispatch.reached()
    await handle.cancel()
    await shop.until("refused")
    shop.carrier.at_dispatch.open()
    assert await handle.result() is OrderStatus.COMPLETED
    assert shop.payments.held == TOTAL


async def test_two_cancels_at_once_cancel_once(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    both = [ask(handle, OrderWorkflow.cancel, CANCEL), ask(handle, OrderWorkflow.cancel, CANCEL)]
    await shop.until("refunded")
    shop.warehouse.at_pick.open()
    await asyncio.gather(*both)
    assert await handle.result() is OrderStatus.CANCELLED
    assert shop.trail.count("cancelled") == shop.trail.count("refunded") == shop.trail.count("recalled") == 1
