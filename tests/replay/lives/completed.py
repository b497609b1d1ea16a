"""Orders that are delivered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from orders.contracts import (
    ORDERS_QUEUE,
    AmendOrder,
    CancelPayment,
    ChangeAddress,
    RecordRefusal,
    RetryPayment,
    Terms,
    refusal_workflow_id,
)
from orders.model import ShipmentStatus
from orders.workflows.order import OrderWorkflow
from orders.workflows.refusal import RefusalWorkflow
from tests.examples import TOTAL, WORK
from tests.replay.lives.life import BY_CLOCK, SHORTLY, SOON, begun, life
from tests.workflows.conftest import (
    A_LONG_WAY,
    APPROVE,
    BY_PERSON,
    CANCEL,
    DECLINED,
    LONG_REVIEW,
    NO_REVIEW,
    ON_DISPATCH,
    OTHER_CARD,
    Shop,
    ask,
    refusal,
)

IN_TRANSIT, DELIVERED = ShipmentStatus.IN_TRANSIT, ShipmentStatus.DELIVERED
CALL_OFF = CancelPayment("wrong card", "ann")
MOVE = ChangeAddress(WORK, "ann")


@life
async def completed(shop: Shop) -> None:
    await shop.place()


@life
async def completed_after_a_review_by_the_clock(shop: Shop) -> None:
    await shop.place(policy=BY_CLOCK)


@life
async def completed_after_a_review_by_the_clock_that_was_cut_short(shop: Shop) -> None:
    handle = await shop.place(policy=LONG_REVIEW)
    await shop.until("review_started")
    await handle.execute_update(OrderWorkflow.review, APPROVE)


@life
async def completed_after_a_review_by_a_person(shop: Shop) -> None:
    handle = await shop.place(policy=BY_PERSON)
    await shop.until("review_started")
    await handle.execute_update(OrderWorkflow.review, APPROVE)


@life
async def completed_after_a_review_above_the_threshold(shop: Shop) -> None:
    handle = await shop.place(policy=replace(NO_REVIEW, review_threshold=TOTAL - 1))
    await shop.until("review_started")
    await handle.execute_update(OrderWorkflow.review, APPROVE)


@life
async def completed_with_the_money_taken_on_dispatch(shop: Shop) -> None:
    await shop.place(policy=ON_DISPATCH)


@life
async def completed_by_the_carriers_word(shop: Shop) -> None:
    shop.carrier.delivers_after = A_LONG_WAY
    await shop.place()
    await shop.until("dispatched")
    await shop.carrier_says(IN_TRANSIT, "evt_1")
    await shop.until("in_transit")
    await shop.carrier_says(IN_TRANSIT, "evt_1")
    await shop.carrier_says(IN_TRANSIT, "evt_2")
    await shop.carrier_says(DELIVERED, "evt_3")


@life
async def completed_by_a_word_that_came_before_the_hand_over_was_answered(shop: Shop) -> None:
    shop.carrier.delivers_after = A_LONG_WAY
    shop.carrier.at_dispatch.close()
    await shop.place()
    await shop.carrier.at_dispatch.reached()
    await shop.carrier_says(DELIVERED, "evt_1")
    await shop.carrier_says(IN_TRANSIT, "evt_2")
    shop.carrier.at_dispatch.open()


@life
async def completed_after_the_carrier_was_asked_twice(shop: Shop) -> None:
    shop.carrier.delivers_after, shop.carrier.look_again_after = 2, SHORTLY
    await shop.place(policy=ON_DISPATCH)


@life
async def completed_although_nothing_was_heard_for_long(shop: Shop) -> None:
    shop.carrier.delivers_after = A_LONG_WAY
    await shop.place(policy=replace(NO_REVIEW, delivery_timeout=SHORTLY))
    await shop.until("stuck")
    await shop.carrier_says(DELIVERED)


@life
async def completed_with_less_than_was_ordered(shop: Shop) -> None:
    shop.ledger.stock["MUG"] = 1
    handle = await shop.place()
    await shop.until("stock_short")
    shop.ledger.stock["ABC123"] = 0
    await handle.execute_update(OrderWorkflow.amend, AmendOrder({"MUG": 1}, "ann"))
    await shop.until("stock_short", times=2)
    await refusal(ask(handle, OrderWorkflow.amend, AmendOrder({"CUP": 1}, "ann")))
    await handle.execute_update(OrderWorkflow.amend, AmendOrder(None, "ann"))


@life
async def completed_with_less_than_was_reviewed(shop: Shop) -> None:
    shop.ledger.stock["MUG"] = 1
    handle = await shop.place(policy=BY_CLOCK)
    await shop.until("stock_short")
    await handle.execute_update(OrderWorkflow.amend, AmendOrder(None, "ann"))


@life
async def completed_with_another_payment_method_after_a_shortage(shop: Shop) -> None:
    shop.ledger.stock["MUG"] = 1
    handle = await shop.place(DECLINED)
    await shop.until("stock_short")
    await handle.execute_update(OrderWorkflow.amend, AmendOrder(None, "ann"))
    await shop.until("payment_declined")
    await handle.execute_update(OrderWorkflow.retry_payment, OTHER_CARD)


@life
async def completed_at_an_address_changed_in_review(shop: Shop) -> None:
    handle = await shop.place(policy=BY_PERSON)
    await shop.until("review_started")
    await handle.execute_update(OrderWorkflow.change_address, replace(MOVE, terms=Terms("k" * 24, (3,))))
    await handle.execute_update(OrderWorkflow.review, APPROVE)


@life
async def completed_at_an_address_changed_while_packing(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    await handle.execute_update(OrderWorkflow.change_address, MOVE)
    shop.warehouse.at_pick.open()


@life
async def completed_at_an_address_changed_after_a_refusal(shop: Shop) -> None:
    shop.carrier.refusals = 1
    handle = await shop.place(policy=replace(NO_REVIEW, dispatch_retry_after=timedelta(hours=1)))
    await shop.until("dispatch_failed")
    await handle.execute_update(OrderWorkflow.change_address, MOVE)


@life
async def completed_after_two_refusals_of_the_carrier(shop: Shop) -> None:
    shop.carrier.refusals = 2
    await shop.place(policy=SOON)


@life
async def completed_with_the_third_payment_method(shop: Shop) -> None:
    handle = await shop.place(DECLINED)
    await shop.until("payment_declined")
    await handle.execute_update(OrderWorkflow.retry_payment, RetryPayment("tok_declined", "ann"))
    await shop.until("payment_declined", times=2)
    await handle.execute_update(OrderWorkflow.retry_payment, OTHER_CARD)


@life
async def completed_with_a_payment_that_was_called_off_in_review(shop: Shop) -> None:
    handle = await shop.place(policy=BY_CLOCK)
    await shop.until("review_started")
    await handle.execute_update(OrderWorkflow.cancel_payment, CALL_OFF)
    await shop.until("payment_cancelled")
    await handle.execute_update(OrderWorkflow.retry_payment, OTHER_CARD)


@life
async def completed_with_a_second_parcel_after_a_refund(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place()
    await shop.warehouse.at_pick.reached()
    calling_off = ask(handle, OrderWorkflow.cancel_payment, CALL_OFF)
    await shop.until("refunded")
    shop.warehouse.at_pick.open()
    await calling_off
    await handle.execute_update(OrderWorkflow.retry_payment, OTHER_CARD)


@life
async def completed_with_a_second_parcel_after_a_void(shop: Shop) -> None:
    shop.warehouse.at_pick.close()
    handle = await shop.place(policy=ON_DISPATCH)
    await shop.warehouse.at_pick.reached()
    calling_off = ask(handle, OrderWorkflow.cancel_payment, CALL_OFF)
    await shop.until("voided")
    shop.warehouse.at_pick.open()
    await calling_off
    await handle.execute_update(OrderWorkflow.retry_payment, OTHER_CARD)


@life
async def completed_with_a_payment_that_was_called_off_while_it_was_asked_for(shop: Shop) -> None:
    handle = await shop.place(DECLINED)
    await shop.until("payment_declined")
    shop.payments.at_authorize.close()
    await handle.execute_update(OrderWorkflow.retry_payment, OTHER_CARD)
    await shop.payments.at_authorize.reached()
    calling_off = ask(handle, OrderWorkflow.cancel_payment, CALL_OFF)
    await shop.until("refunded")
    shop.payments.at_authorize.open()
    await calling_off
    await handle.execute_update(OrderWorkflow.retry_payment, OTHER_CARD)


@life
async def completed_although_everything_was_asked_too_late(shop: Shop) -> None:
    shop.carrier.delivers_after = A_LONG_WAY
    shop.carrier.at_dispatch.close()
    handle = await shop.place()
    await shop.carrier.at_dispatch.reached()
    await refusal(ask(handle, OrderWorkflow.cancel, CANCEL))
    await refusal(ask(handle, OrderWorkflow.change_address, MOVE))
    await handle.cancel()
    await shop.until("refused", times=3)
    shop.carrier.at_dispatch.open()
    await shop.until("dispatched")
    await refusal(ask(handle, OrderWorkflow.cancel_payment, CALL_OFF))
    await refusal(ask(handle, OrderWorkflow.retry_payment, OTHER_CARD))
    await refusal(ask(handle, OrderWorkflow.review, APPROVE))
    await shop.carrier_says(DELIVERED)


@life
async def completed_before_a_message_came(shop: Shop) -> None:
    handle = await shop.place()
    await handle.result()
    late = RecordRefusal(shop.order_id, "late", "cancel", "the order is completed", datetime.now(UTC), "ann")
    await shop.environment.client.execute_workflow(
        RefusalWorkflow.run, late, id=refusal_workflow_id(shop.order_id, "late"), task_queue=ORDERS_QUEUE
    )


@life
async def completed_with_a_capture_on_the_way_of_the_parcel(shop: Shop) -> None:
    shop.carrier.delivers_after = A_LONG_WAY
    shop.payments.at_capture.close()
    handle = await shop.place(policy=ON_DISPATCH)
    await shop.payments.at_capture.reached()
    await begun(handle, OrderWorkflow.retry_payment, OTHER_CARD)
    await shop.carrier_says(DELIVERED)
    await shop.until("delivered")
    shop.payments.at_capture.open()
