"""An order's life, from *received* to *completed* or to one of its other ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, ChildWorkflowError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from orders.activities.ledger import LedgerActivities
    from orders.activities.payments import PaymentActivities
    from orders.activities.shipping import ShippingActivities
    from orders.contracts import (
        PAYMENTS_QUEUE,
        SHIPPING_QUEUE,
        CancelOrder,
        CancelPayment,
        ChangeAddress,
        Charge,
        PlaceOrder,
        RecordEvents,
        Refund,
        RetryPayment,
        ShipmentAnswer,
        ShipmentReport,
        ShipOrder,
        shipment_workflow_id,
    )
    from orders.errors import StaleWrite
    from orders.model import (
        BEFORE_DISPATCH,
        SYSTEM,
        Event,
        EventType,
        OrderStatus,
        PaymentStatus,
        Shipment,
        ShipmentStatus,
        receive,
    )
    from orders.workflows.endings import TOO_LATE, Ending, PaymentCalledOff, refused
    from orders.workflows.parcel import Parcel
    from orders.workflows.shipping import ShippingWorkflow
    from orders.workflows.steps import LEDGER, PARTNER, undisturbed, until

E = EventType

STALE_REST = timedelta(seconds=1)


@workflow.defn
class OrderWorkflow:
    """The only writer of its order: it alone decides, numbers and records what happens to it."""

    @workflow.init
    def __init__(self, request: PlaceOrder) -> None:
        self._policy = request.policy
        self._order, received = receive(request.order_id, request.details, request.placed_at, request.actor)
        self._unwritten = [received]
        self._writing = asyncio.Lock()
        self._undo: list[Callable[[], Awaitable[None]]] = []
        self._cancellation: Ending | None = None
        self._payment_cancellation: CancelPayment | None = None
        self._has_new_payment_method = False
        self._parcel = Parcel()
        self._steps_taken = 0
        self._ended = False

    @workflow.run
    async def run(self, request: PlaceOrder) -> OrderStatus:
        """Lead the order to its end and say which one it was."""
        cancellation = CancelOrder("the workflow was cancelled", actor="temporal")
        return await undisturbed(self._live(), on_cancel=lambda: self._cancel_if_possible(cancellation))

    async def _live(self) -> OrderStatus:
        try:
            self._validate()
            await self._review()
            while True:
                try:
                    if await self._pay():
                        await self._ship()
                        break
                except PaymentCalledOff:
                    await self._give_payment_back()
                await self._another_payment_method()
            self._tell(E.COMPLETED)
        except Ending as ending:
            await self._undo_everything()
            self._tell(ending.event, ending.actor, reason=ending.reason)
        await self._write()
        self._ended = True
        await workflow.wait_condition(workflow.all_handlers_finished)
        await self._write()
        return self._order.status

    # The steps

    def _validate(self) -> None:
        if problems := self._order.details.problems(self._policy.max_total):
            raise Ending(E.REJECTED, "; ".join(problems))
        self._tell(E.VALIDATED)

    async def _review(self) -> None:
        if not self._policy.review_timeout:
            return
        until_when = workflow.now() + self._policy.review_timeout
        self._tell(E.REVIEW_STARTED, until=until_when.isoformat())
        await self._write()
        await self._wait(lambda: False, self._policy.review_timeout)
        self._tell(E.REVIEW_PASSED, reason="nobody objected in time")

    async def _pay(self) -> bool:
        self._stop_if_asked()
        order = self._order
        key = order.payment.next_key(order.id, "charge")
        charge = Charge(key, order.details.total, order.details.payment_method)
        self._tell(E.PAYMENT_REQUESTED, key=key, **asdict(charge.amount))
        await self._write()
        self._undo.append(partial(self._refund, charge))
        answer = await until(
            self._is_asked_to_stop,
            workflow.execute_activity_method(PaymentActivities.charge, charge, task_queue=PAYMENTS_QUEUE, **PARTNER),
        )
        if answer is None:
            self._stop_if_asked()
            raise AssertionError("the charge was called off by nobody")
        if answer.declined:
            self._undo.clear()
            self._tell(E.PAYMENT_DECLINED, key=key, reason=answer.declined)
            return False
        self._tell(E.PAYMENT_CAPTURED, key=key, reference=answer.reference, **asdict(charge.amount))
        return True

    async def _another_payment_method(self) -> None:
        await self._write()
        timeout = self._policy.payment_timeout
        if not await self._wait(lambda: self._has_new_payment_method, timeout):
            raise Ending(E.EXPIRED, f"no payment within {timeout}")
        self._has_new_payment_method = False

    async def _ship(self) -> None:
        self._stop_if_asked()
        order = self._order
        shipment_id = f"{order.id}:{len(order.shipments) + 1}"
        self._parcel, self._steps_taken = Parcel(), 0
        self._tell(E.SHIPMENT_REQUESTED, shipment=shipment_id)
        await self._write()
        try:
            await self._follow_parcel(shipment_id)
        except (ChildWorkflowError, WorkflowAlreadyStartedError) as error:
            # Nobody follows the parcel any more: somebody has terminated its workflow.
            await self._write()
            raise Ending(E.FAILED, f"the parcel was lost sight of: {error}") from error
        if order.shipment.status is ShipmentStatus.RECALLED:
            await self._write()
            if not self._parcel.is_called_back:
                raise Ending(E.CANCELLED, "the parcel was called back from outside", actor="temporal")
            await workflow.wait_condition(self._is_asked_to_stop)
            self._stop_if_asked()

    async def _follow_parcel(self, shipment_id: str) -> None:
        details = self._order.details
        self._undo.append(partial(self._put_goods_back, self._order.shipment))
        parcel = self._parcel.handle = await workflow.start_child_workflow(
            ShippingWorkflow.run,
            ShipOrder(shipment_id, details.lines, details.shipping_address),
            id=shipment_workflow_id(shipment_id),
            task_queue=SHIPPING_QUEUE,
            # Should the order be terminated, its parcel comes back by itself if it still can.
            parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
        )
        while not parcel.done():
            await workflow.wait_condition(lambda: parcel.done() or bool(self._unwritten))
            if not parcel.done():
                await self._write()
        self._take(await parcel)

    # Undoing

    async def _give_payment_back(self) -> None:
        request = self._payment_cancellation
        assert request
        await self._undo_everything()
        self._tell(E.PAYMENT_CANCELLED, request.actor, reason=request.reason)
        await self._write()
        self._payment_cancellation = None

    async def _undo_everything(self) -> None:
        while self._undo:
            await self._undo.pop()()

    async def _refund(self, charge: Charge) -> None:
        key = self._order.payment.next_key(self._order.id, "refund")
        self._tell(E.REFUND_REQUESTED, key=key, charge=charge.key, **asdict(charge.amount))
        await self._write()
        answer = await workflow.execute_activity_method(
            PaymentActivities.refund, Refund(key, charge), task_queue=PAYMENTS_QUEUE, **PARTNER
        )
        self._tell(E.REFUNDED, key=key, charge=charge.key, reference=answer.reference, **asdict(answer.returned))

    async def _put_goods_back(self, shipment: Shipment) -> None:
        # A parcel that was called back has done so itself; this is for one that nobody follows any more.
        if shipment.status is not ShipmentStatus.RECALLED:
            await workflow.execute_activity_method(
                ShippingActivities.put_back, shipment.id, task_queue=SHIPPING_QUEUE, **PARTNER
            )

    # What people ask of it

    @workflow.update
    async def cancel(self, message: CancelOrder) -> None:
        """End the order and undo everything; returns when that is done. Refused once the parcel is leaving."""
        await self._cancel(message)
        await workflow.wait_condition(lambda: self._ended)
        if self._order.status is not OrderStatus.CANCELLED:
            raise refused(f"the order was {self._order.status} first")

    @cancel.validator
    def _check_cancel(self, message: CancelOrder) -> None:
        self._refuse_after_dispatch("cancelled")

    @workflow.update
    async def cancel_payment(self, message: CancelPayment) -> None:
        """Take no money, or give it back; the order then waits for another payment method."""
        self._tell(E.PAYMENT_CANCEL_REQUESTED, message.actor, reason=message.reason)
        await self._call_parcel_back("cancel_payment", message.actor)
        # While the parcel was asked, another message may have done the same.
        self._check_cancel_payment(message)
        self._payment_cancellation = message
        if self._order.payment.status is PaymentStatus.UNPAID:
            # It is not due yet: when it is, the lifecycle finds this note.
            await self._write()
            return
        await workflow.wait_condition(lambda: self._ended or self._payment_cancellation is None)

    @cancel_payment.validator
    def _check_cancel_payment(self, message: CancelPayment) -> None:
        self._refuse_after_dispatch("given its money back")
        self._refuse_while_cancelling()
        status = self._order.payment.status
        if status not in (PaymentStatus.UNPAID, PaymentStatus.PENDING, PaymentStatus.CAPTURED):
            raise refused(f"the payment is {status}: there is nothing to cancel")

    @workflow.update
    async def retry_payment(self, message: RetryPayment) -> None:
        """Try another payment method."""
        self._tell(E.PAYMENT_METHOD_CHANGED, message.actor, payment_method=message.payment_method)
        self._has_new_payment_method = True
        await self._write()

    @retry_payment.validator
    def _check_retry_payment(self, message: RetryPayment) -> None:
        self._refuse_while_cancelling()
        order = self._order
        waiting = order.status is OrderStatus.PAYMENT_FAILED and order.payment.status is not PaymentStatus.PENDING
        if not waiting or self._has_new_payment_method:
            raise refused(f"the order is {order.status}: it doesn't wait for another payment method")

    @workflow.update
    async def change_address(self, message: ChangeAddress) -> None:
        """Send the parcel elsewhere; refused once it is leaving."""

        def note(accepted: bool) -> None:
            if accepted:
                self._tell(E.ADDRESS_CHANGED, message.actor, address=asdict(message.address))
            else:
                self._note_refusal("change_address", message.actor)

        if self._order.status is OrderStatus.FULFILLING:
            accepted = await self._parcel.take_new_address(message.address, note)
        else:
            accepted = True
            note(accepted)
        await self._write()
        if not accepted:
            raise refused(TOO_LATE)

    @change_address.validator
    def _check_change_address(self, message: ChangeAddress) -> None:
        self._refuse_after_dispatch("sent elsewhere")
        self._refuse_while_cancelling()

    # What its parcel tells it

    @workflow.signal
    def shipment_reported(self, report: ShipmentReport) -> None:
        """Something happened to the parcel."""
        self._take(report)

    @workflow.signal
    def shipment_answered(self, answer: ShipmentAnswer) -> None:
        """The parcel answers a request."""
        self._parcel.answered(answer)

    # How it does these things

    def _tell(self, event: EventType, actor: str = SYSTEM, at: datetime | None = None, **data: Any) -> None:
        self._unwritten.append(self._order.record(event, at or workflow.now(), actor, **data))

    async def _write(self) -> None:
        # One at a time, so that nobody ever reads event 6 before event 5.
        async with self._writing:
            if not self._unwritten:
                return
            events, self._unwritten = self._unwritten, []
            while not await self._record(events):
                # A worker that died in the middle of an update left more than this. The history is longer after a
                # rest, and then this decision is the newer one.
                await workflow.sleep(STALE_REST)

    async def _record(self, events: list[Event]) -> bool:
        info = workflow.info()
        entry = RecordEvents(self._order, events, info.run_id, info.get_current_history_length())
        try:
            await workflow.execute_local_activity_method(LedgerActivities.record, entry, **LEDGER)
        except ApplicationError as error:
            if error.type == StaleWrite.__name__:
                return False
            raise
        return True

    async def _wait(self, condition: Callable[[], bool], timeout: timedelta) -> bool:
        """Wait for the condition; False when it did not come in time."""
        try:
            await workflow.wait_condition(lambda: condition() or self._cancellation is not None, timeout=timeout)
        except TimeoutError:
            return False
        if self._cancellation:
            raise self._cancellation
        return True

    def _is_asked_to_stop(self) -> bool:
        return self._cancellation is not None or self._payment_cancellation is not None

    def _stop_if_asked(self) -> None:
        if self._cancellation:
            raise self._cancellation
        if self._payment_cancellation:
            raise PaymentCalledOff

    async def _cancel_if_possible(self, message: CancelOrder) -> None:
        # Nobody waits for an answer here; that it was refused stands in the audit trail.
        if self._order.status in BEFORE_DISPATCH:
            with suppress(ApplicationError):
                await self._cancel(message)

    async def _cancel(self, message: CancelOrder) -> None:
        self._tell(E.CANCEL_REQUESTED, message.actor, reason=message.reason)
        await self._call_parcel_back("cancel", message.actor)
        self._cancellation = self._cancellation or Ending(E.CANCELLED, message.reason, message.actor)

    async def _call_parcel_back(self, request: str, actor: str) -> None:
        def note(accepted: bool) -> None:
            if not accepted:
                self._note_refusal(request, actor)

        if self._order.status is OrderStatus.FULFILLING and not await self._parcel.come_back(note):
            await self._write()
            raise refused(TOO_LATE)

    def _note_refusal(self, request: str, actor: str) -> None:
        self._tell(E.REFUSED, actor, request=request, reason=TOO_LATE)

    def _take(self, report: ShipmentReport) -> None:
        news, self._steps_taken = report.steps[self._steps_taken :], len(report.steps)
        for step in news:
            facts = {name: value for name, value in asdict(step).items() if value is not None}
            del facts["status"], facts["at"]
            self._tell(E(step.status), at=step.at, **facts)
            if step.status is ShipmentStatus.DISPATCHED:
                # Nothing can be undone any more.
                self._undo.clear()

    def _refuse_after_dispatch(self, what: str) -> None:
        status = self._order.status
        if status not in BEFORE_DISPATCH:
            raise refused(f"the order is {status}: it can't be {what} any more")

    def _refuse_while_cancelling(self) -> None:
        if self._cancellation:
            raise refused("the order is being cancelled")
