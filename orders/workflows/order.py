"""An order's life, from *received* to *completed* or to one of its other ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial

from temporalio import workflow
from temporalio.exceptions import ApplicationError, ChildWorkflowError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from orders.contracts import (
        PAYMENTS_QUEUE,
        SHIPPING_QUEUE,
        AmendOrder,
        Authorize,
        CancelOrder,
        CancelPayment,
        ChangeAddress,
        PaymentNotice,
        PlaceOrder,
        RetryPayment,
        ReviewOrder,
        ShipmentAnswer,
        ShipmentReport,
        ShipmentTrouble,
    )
    from orders.model import (
        FINAL,
        PAYMENT,
        SHIPMENT,
        TEMPORAL,
        EventType,
        OrderStatus,
        Origin,
        PaymentStatus,
        ShipmentStatus,
    )
    from orders.policy import CaptureMode
    from orders.progress import Progress, progress
    from orders.workflows.cashier import Cashier
    from orders.workflows.desk import KEPT_FOR_CANCELS, Desk, Wanted
    from orders.workflows.endings import Ending, PaymentCalledOff
    from orders.workflows.journal import Journal
    from orders.workflows.parcel import Parcel
    from orders.workflows.steps import Partner, undisturbed, until

E = EventType

OUTSIDE = Origin(TEMPORAL)
MAX_NOTICES = 100
"""How many news of the payment provider an order puts on record."""
UNPAID_GOODS = "the goods are on their way and their money can't be taken: offer another payment method"


@workflow.defn
class OrderWorkflow:
    """The only writer of its order: it alone decides, numbers and records what happens to it."""

    @workflow.init
    def __init__(self, request: PlaceOrder) -> None:
        self._policy = request.policy
        self._journal = Journal(request)
        self._order, self._tell, self._write = self._journal.order, self._journal.tell, self._journal.write
        self._desk = Desk(self._journal)
        self._cashier = Cashier(self._journal, self._partner(PAYMENTS_QUEUE, PAYMENT))
        self._authorization: Authorize | None = None
        self._undo: list[Callable[[], Awaitable[None]]] = []
        self._notices: set[str] = set()

    @workflow.run
    async def run(self, request: PlaceOrder) -> OrderStatus:
        """Lead the order to its end and say which one it was."""
        cancellation = CancelOrder("the workflow was cancelled", OUTSIDE.actor)
        return await undisturbed(self._live(), on_cancel=lambda: self._cancel_if_possible(cancellation))

    async def _live(self) -> OrderStatus:
        try:
            self._validate()
            await self._review()
            await self._reserve_stock()
            while not await self._pay_and_hand_over():
                await self._another_payment_method()
            await self._collect()
            await self._deliver()
            self._tell(E.COMPLETED)
        except Ending as ending:
            self._desk.expect(None)
            await self._undo_everything()
            if any(holding.held for holding in self._order.stock.values()):
                self._tell(E.STOCK_RELEASED)
            self._tell(ending.event, ending.by, reason=ending.reason)
        await self._write()
        self._desk.is_closed = True
        await workflow.wait_condition(workflow.all_handlers_finished)
        await self._write()
        return self._order.status

    # The steps

    def _validate(self) -> None:
        if problems := self._order.details.problems(self._policy.max_total):
            raise Ending(E.REJECTED, "; ".join(problems))
        self._tell(E.VALIDATED)

    async def _review(self) -> None:
        details = self._order.details
        review = self._policy.review_of(details.total)
        if review is None:
            return
        self._tell(E.REVIEW_STARTED, by_person=review.by_person, until=self._in(review.lasts))
        self._desk.expect(Wanted.DECISION)
        # Nobody should have to look at an order for something that the shop doesn't have at all.
        _reject_unknown(await self._write(hold=dict.fromkeys(details.quantities, 0)))
        if await self._desk.hear(review.lasts):
            decision = self._desk.decision
            if decision and not decision.approved:
                raise Ending(E.REJECTED, decision.note, by=decision)
        elif review.by_person:
            raise Ending(E.EXPIRED, f"nobody decided within {review.lasts}")
        else:
            self._tell(E.REVIEW_PASSED, reason="nobody objected in time")

    async def _reserve_stock(self) -> None:
        while free := await self._write(hold=self._order.details.quantities):
            available = _reject_unknown(free)
            ordered, timeout = self._order.details.quantities, self._policy.customer_timeout
            short = [{"sku": sku, "wanted": ordered[sku], "available": there} for sku, there in available.items()]
            self._tell(E.STOCK_SHORT, short=short, until=self._in(timeout))
            self._desk.expect(Wanted.AMENDMENT, available)
            await self._write()
            if not await self._desk.hear(timeout):
                raise Ending(E.EXPIRED, f"no answer to the shortage within {timeout}")
        self._tell(E.STOCK_RESERVED)

    async def _pay_and_hand_over(self) -> bool:
        """False when the order needs another payment method first."""
        try:
            self._desk.stop_if_asked()
            if not await self._pay():
                return False
            self._desk.stop_if_asked()
            await self._hand_over()
        except PaymentCalledOff:
            await self._give_payment_back()
            return False
        return True

    async def _pay(self) -> bool:
        at_once = self._policy.payment_capture is CaptureMode.IMMEDIATE
        request = self._authorization = await self._cashier.request(capture=at_once)
        self._undo.append(partial(self._cashier.give_back, request))
        answer = await until(self._desk.is_asked_to_stop, self._cashier.authorize(request))
        if answer is None:
            self._desk.stop_if_asked()
            raise AssertionError("the authorization was called off by nobody")
        is_paid = self._cashier.settle(request, answer, until=self._in(self._policy.payment_timeout))
        if not is_paid:
            self._undo.pop()
            # Whoever called it off in this very moment waits for an answer, and not for the next payment method.
            self._desk.stop_if_asked()
            self._desk.expect(Wanted.PAYMENT_METHOD)
            await self._write()
        return is_paid

    async def _another_payment_method(self) -> None:
        timeout = self._policy.payment_timeout
        if not await self._desk.hear(timeout):
            raise Ending(E.EXPIRED, f"no payment within {timeout}")

    async def _hand_over(self) -> None:
        parcel = self._desk.parcel = Parcel(self._journal, self._policy, self._partner(SHIPPING_QUEUE, SHIPMENT))
        await parcel.request()
        self._undo.append(parcel.put_back)
        try:
            is_shipped = await parcel.hand_over()
        except (ChildWorkflowError, WorkflowAlreadyStartedError) as error:
            # Nobody follows the parcel any more: somebody has terminated its workflow.
            raise Ending(E.FAILED, f"the parcel was lost sight of: {error}") from error
        if not is_shipped:
            await self._after_recall(parcel)
        # Nothing can be undone any more.
        self._undo.clear()

    async def _after_recall(self, parcel: Parcel) -> None:
        await self._write()
        if parcel.is_refused:
            self._desk.stop_if_asked()
            tries = len(parcel.refusals)
            raise Ending(E.FAILED, f"the carrier refused the parcel {tries} times: {parcel.refusals[-1]}")
        if not parcel.is_called_back:
            raise Ending(E.CANCELLED, "the parcel was called back from outside", by=OUTSIDE)
        await workflow.wait_condition(self._desk.is_asked_to_stop)
        self._desk.stop_if_asked()

    async def _collect(self) -> None:
        """Take the money of a parcel that is on its way, if it was only held ready so far."""
        if self._order.payment.status is PaymentStatus.CAPTURED:
            return
        assert self._authorization
        following = asyncio.create_task(self._note_arrival())
        is_taken = await self._cashier.capture(self._authorization)
        while not is_taken:
            self._tell(E.STUCK, axis=PAYMENT, reason=UNPAID_GOODS)
            self._desk.expect(Wanted.PAYMENT_METHOD)
            await self._write()
            if await self._desk.hear(unless=self._may_be_gone):
                request = self._authorization = await self._cashier.request(capture=True)
                is_taken = self._cashier.settle(request, await self._cashier.authorize(request))
            elif await self._arrival() is not ShipmentStatus.DELIVERED:
                break
        await self._write()
        await following

    async def _deliver(self) -> None:
        arrival = await self._arrival()
        if arrival is not ShipmentStatus.DELIVERED:
            assert self._authorization
            self._undo.append(partial(self._cashier.give_back, self._authorization))
            raise Ending(E.FAILED, f"the parcel was {arrival}")

    def _may_be_gone(self) -> bool:
        parcel = self._desk.parcel
        return parcel is not None and parcel.is_done and self._order.shipment.status is not ShipmentStatus.DELIVERED

    async def _note_arrival(self) -> None:
        # While the money is being taken; that nobody follows the parcel any more is said when it is waited for.
        with suppress(Ending):
            await self._arrival()
            await self._write()

    async def _arrival(self) -> ShipmentStatus:
        assert self._desk.parcel
        try:
            return await self._desk.parcel.arrive()
        except ChildWorkflowError as error:
            raise Ending(E.FAILED, f"the parcel was lost sight of: {error}") from error

    # Undoing

    async def _give_payment_back(self) -> None:
        request = self._desk.payment_cancellation
        assert request
        await self._undo_everything()
        until_when = self._in(self._policy.payment_timeout)
        self._tell(E.PAYMENT_CANCELLED, request, reason=request.reason, until=until_when)
        self._desk.expect(Wanted.PAYMENT_METHOD)
        await self._write()
        self._desk.payment_cancellation = None

    async def _undo_everything(self) -> None:
        while self._undo:
            await self._undo.pop()()

    # What people ask of it

    @workflow.update
    async def cancel(self, message: CancelOrder) -> None:
        """End the order and undo everything; returns when that is done. Refused once the parcel is leaving."""
        await self._desk.answer("cancel", message, self._desk.cancel)

    @cancel.validator
    def _may_cancel(self, message: CancelOrder) -> None:
        self._desk.admit(message, KEPT_FOR_CANCELS)

    @workflow.update
    async def review(self, message: ReviewOrder) -> None:
        """Let an order in review go on, or end it; a rejection returns when everything is undone."""
        await self._desk.answer("review", message, self._desk.review)

    @review.validator
    def _may_review(self, message: ReviewOrder) -> None:
        self._desk.admit(message)

    @workflow.update
    async def amend(self, message: AmendOrder) -> None:
        """Answer a shortage with smaller quantities."""
        await self._desk.answer("amend", message, self._desk.amend)

    @amend.validator
    def _may_amend(self, message: AmendOrder) -> None:
        self._desk.admit(message)

    @workflow.update
    async def change_address(self, message: ChangeAddress) -> None:
        """Send the parcel elsewhere; refused once it is leaving."""
        await self._desk.answer("change_address", message, self._desk.change_address)

    @change_address.validator
    def _may_change_address(self, message: ChangeAddress) -> None:
        self._desk.admit(message)

    @workflow.update
    async def cancel_payment(self, message: CancelPayment) -> None:
        """Take no money, or give it back; the order then waits for another payment method."""
        await self._desk.answer("cancel_payment", message, self._desk.cancel_payment)

    @cancel_payment.validator
    def _may_cancel_payment(self, message: CancelPayment) -> None:
        self._desk.admit(message)

    @workflow.update
    async def retry_payment(self, message: RetryPayment) -> None:
        """Try another payment method."""
        await self._desk.answer("retry_payment", message, self._desk.retry_payment)

    @retry_payment.validator
    def _may_retry_payment(self, message: RetryPayment) -> None:
        self._desk.admit(message)

    @workflow.query
    def progress(self) -> Progress:
        """Say what the order is doing in this moment, written down or not."""
        return progress(self._order)

    # What its parcel and the payment provider tell it

    @workflow.signal
    async def shipment_reported(self, report: ShipmentReport) -> None:
        """Something happened to the parcel."""
        if self._desk.parcel and self._order.status not in FINAL:
            self._desk.parcel.take(report)
            await self._write()

    @workflow.signal
    async def shipment_in_trouble(self, trouble: ShipmentTrouble) -> None:
        """The carrier refused the parcel, or somebody doesn't answer it."""
        parcel = self._desk.parcel
        if parcel is None or trouble.shipment_id != self._order.shipment.id or self._order.status in FINAL:
            return
        if trouble.refused:
            parcel.refused(trouble)
        else:
            parcel.take(trouble)
            self._tell(E.STUCK, axis=SHIPMENT, reason=trouble.reason)
        await self._write()

    @workflow.signal
    def shipment_answered(self, answer: ShipmentAnswer) -> None:
        """The parcel answers a request."""
        if self._desk.parcel:
            self._desk.parcel.answered(answer)

    @workflow.signal
    async def payment_noticed(self, notice: PaymentNotice) -> None:
        """The payment provider has news; the same news twice is one."""
        if notice.id in self._notices or len(self._notices) >= MAX_NOTICES:
            return
        self._notices.add(notice.id)
        self._tell(E.PAYMENT_NOTICED, notice, notice=notice.id, kind=notice.kind, reference=notice.reference)
        if notice.problem:
            await self._note_trouble(PAYMENT, notice.problem)
        await self._write()

    # How it does these things

    def _partner(self, queue: str, axis: str) -> Partner:
        return Partner(queue, self._policy.partners, partial(self._note_trouble, axis))

    async def _note_trouble(self, axis: str, reason: str) -> None:
        if self._order.status not in FINAL:
            self._tell(E.STUCK, axis=axis, reason=reason)
            await self._write()

    async def _cancel_if_possible(self, message: CancelOrder) -> None:
        # Nobody waits for an answer here; that it was refused stands in the audit trail.
        with suppress(ApplicationError):
            await self._desk.answer("cancel", message, self._desk.cancel)

    def _in(self, delay: timedelta) -> str:
        return (workflow.now() + delay).isoformat()


def _reject_unknown(free: dict[str, int | None]) -> dict[str, int]:
    if unknown := sorted(sku for sku, there in free.items() if there is None):
        raise Ending(E.REJECTED, f"the shop has no {', '.join(unknown)}")
    return {sku: there for sku, there in free.items() if there is not None}
