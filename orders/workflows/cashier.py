"""The money of an order: asked for, taken, let go, given back. Each question is noted before it is put."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orders.activities.payments import PaymentActivities
    from orders.contracts import Authorization, Authorize, Capture, Refund, Void
    from orders.model import EventType, PaymentStatus
    from orders.money import Money
    from orders.workflows.journal import Journal
    from orders.workflows.steps import Partner

E = EventType


class Cashier:
    """Deals with the payment provider on behalf of one order."""

    def __init__(self, journal: Journal, provider: Partner) -> None:
        self._journal = journal
        self._order = journal.order
        self._provider = provider

    async def request(self, *, capture: bool) -> Authorize:
        """Note that the order's total is going to be asked for, by the payment method that the order now has."""
        details = self._order.details
        request = Authorize(self._next("authorize"), self._order.id, details.total, details.payment_method, capture)
        self._journal.tell(E.PAYMENT_REQUESTED, key=request.key, method=request.method, **asdict(request.amount))
        await self._journal.write()
        return request

    async def authorize(self, request: Authorize) -> Authorization:
        """Put the question; :meth:`settle` notes the answer."""
        return await self._provider.ask(PaymentActivities.authorize, request)

    def settle(self, request: Authorize, answer: Authorization, **if_declined: Any) -> bool:
        """Note the answer; False if the payment method was declined."""
        if answer.declined:
            self._journal.tell(E.PAYMENT_DECLINED, key=request.key, reason=answer.declined, **if_declined)
            return False
        facts = {"key": request.key, "reference": answer.reference, **asdict(request.amount)}
        self._journal.tell(E.PAYMENT_AUTHORIZED, **facts)
        if request.capture:
            self._journal.tell(E.PAYMENT_CAPTURED, **facts)
        return True

    async def capture(self, authorization: Authorize) -> bool:
        """Take what is held ready; False if that can't be done any more: what may still be held is let go then."""
        key = self._next("capture")
        money = asdict(authorization.amount)
        self._journal.tell(E.CAPTURE_REQUESTED, key=key, authorization=authorization.key, **money)
        await self._journal.write()
        answer = await self._provider.ask(PaymentActivities.capture, Capture(key, authorization))
        if answer.declined:
            self._journal.tell(E.PAYMENT_DECLINED, key=key, reason=answer.declined)
            await self._void(authorization)
        else:
            self._journal.tell(E.PAYMENT_CAPTURED, key=key, reference=answer.reference, **money)
        return self._order.payment.status is PaymentStatus.CAPTURED

    async def give_back(self, authorization: Authorize) -> None:
        """Let go what is held ready, and give back what was taken: whichever it is, or nothing."""
        payment = self._order.payment
        if payment.status in (PaymentStatus.PENDING, PaymentStatus.AUTHORIZED):
            await self._void(authorization)
        if payment.held:
            await self._refund(authorization)

    async def _void(self, authorization: Authorize) -> None:
        key = self._next("void")
        self._journal.tell(E.VOID_REQUESTED, key=key, authorization=authorization.key, **asdict(authorization.amount))
        await self._journal.write()
        answer = await self._provider.ask(PaymentActivities.void, Void(key, authorization))
        what = "it had been taken already" if answer.captured.amount else "nothing had been taken"
        facts = {"key": key, "authorization": authorization.key, "reason": what, **asdict(answer.captured)}
        self._journal.tell(E.VOIDED, **facts)

    async def _refund(self, authorization: Authorize) -> None:
        key = self._next("refund")
        amount = Money(self._order.payment.held, authorization.amount.currency)
        facts = {"key": key, "authorization": authorization.key, **asdict(amount)}
        self._journal.tell(E.REFUND_REQUESTED, **facts)
        await self._journal.write()
        answer = await self._provider.ask(PaymentActivities.refund, Refund(key, authorization, amount))
        self._journal.tell(E.REFUNDED, reference=answer.reference, **facts)

    def _next(self, kind: str) -> str:
        return self._order.payment.next_key(self._order.id, kind)
