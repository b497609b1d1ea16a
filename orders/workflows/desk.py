"""What people ask of an order: each message is noted, and either done or refused with the reason."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from enum import Enum, auto
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from orders.contracts import (
        KEY_REUSED,
        REFUSED,
        STALE,
        AmendOrder,
        CancelOrder,
        CancelPayment,
        ChangeAddress,
        Message,
        RetryPayment,
        ReviewOrder,
    )
    from orders.details import Address
    from orders.errors import ImpossibleAmendment
    from orders.model import BEFORE_DISPATCH, EventType, OrderStatus, PaymentStatus
    from orders.workflows.endings import TOO_LATE, Ending, PaymentCalledOff, refused
    from orders.workflows.journal import Journal
    from orders.workflows.parcel import Parcel

E, P = EventType, PaymentStatus
Asked = TypeVar("Asked", bound=Message)

MAX_MESSAGES = 500
"""How many messages an order puts on record; with many more its history would reach Temporal's limits."""
KEPT_FOR_CANCELS = 20
CANCELLABLE = frozenset({P.UNPAID, P.PENDING, P.AUTHORIZED, P.CAPTURED})


class Wanted(Enum):
    """What an order waits for that only a person can say."""

    DECISION = auto()
    AMENDMENT = auto()
    PAYMENT_METHOD = auto()


class Desk:
    """Takes the messages of one order, and passes on to its story what they change."""

    def __init__(self, journal: Journal) -> None:
        self._order, self._tell, self._write = journal.order, journal.tell, journal.write
        self.parcel: Parcel | None = None
        self.is_closed = False
        self.decision: ReviewOrder | None = None
        self.payment_cancellation: CancelPayment | None = None
        self._cancellation: Ending | None = None
        self._wanted: Wanted | None = None
        self._available: dict[str, int] = {}
        self._messages = 0
        self._keys: set[str] = set()
        self._redirections = 0

    # For the story

    def expect(self, wanted: Wanted | None, available: dict[str, int] | None = None) -> None:
        """Take this from now on, if anything; ``available`` is what there is of what is short."""
        self._wanted, self._available = wanted, available or {}

    async def hear(self, timeout: timedelta | None = None, unless: Callable[[], bool] = lambda: False) -> bool:
        """Wait for what is expected; False when it did not come in time, or ``unless`` came true.

        Raises:
            Ending: the order was cancelled instead.
        """
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._wanted is None or self._cancellation is not None or unless(), timeout=timeout
            )
        is_heard, self._wanted = self._wanted is None, None
        if self._cancellation:
            raise self._cancellation
        return is_heard

    def is_asked_to_stop(self) -> bool:
        """Whether the story has to leave its path."""
        return self._cancellation is not None or self.payment_cancellation is not None

    def stop_if_asked(self) -> None:
        """Leave the story's path, if somebody asked for it.

        Raises:
            Ending: the order is cancelled.
            PaymentCalledOff: its payment is.
        """
        if self._cancellation:
            raise self._cancellation
        if self.payment_cancellation:
            raise PaymentCalledOff

    # For the messages

    def admit(self, message: Message, beyond: int = 0) -> None:
        """Let into the history what is asked on terms that hold, and so many messages beyond the limit.

        What this refuses is not on record.

        Raises:
            ApplicationError: of type ``Refused``, ``KeyReused`` or ``Stale``.
        """
        terms, version = message.terms, self._order.version
        if self._messages >= MAX_MESSAGES + beyond:
            rest = "it takes no more" if beyond else "it can only be cancelled now"
            raise refused(f"the order has had {self._messages} messages: {rest}")
        # A message that comes again never gets here: Temporal answers it, by the id that its key and content make.
        if terms.key in self._keys:
            raise refused("the key came with another message to this order", KEY_REUSED)
        if terms.versions is not None and (self._redirections or version not in terms.versions):
            raise refused(f"the order is at version {version}", STALE, version)

    async def answer(self, request: str, message: Asked, deed: Callable[[Asked], Awaitable[None]]) -> None:
        """Do what a message asks for; that it was refused is put on record.

        Raises:
            ApplicationError: of type ``Refused``, with the reason.
        """
        self._messages += 1
        if message.terms.key:
            self._keys.add(message.terms.key)
        try:
            await deed(message)
        except ApplicationError as refusal:
            if refusal.type == REFUSED:
                self._tell(E.REFUSED, message, request=request, reason=refusal.message)
                await self._write()
            raise

    async def cancel(self, message: CancelOrder) -> None:
        """End the order with everything undone."""
        self._refuse_unless_cancellable()
        self._tell(E.CANCEL_REQUESTED, message, reason=message.reason)
        await self._call_parcel_back()
        # While the parcel was asked, another cancel may have been first, or the parcel may have gone.
        self._refuse_unless_cancellable()
        self._cancellation = Ending(E.CANCELLED, message.reason, by=message)
        await self._write()
        await self._until_ended_as(OrderStatus.CANCELLED)

    async def review(self, message: ReviewOrder) -> None:
        """Let an order in review go on, or end it."""
        self._refuse_unless(Wanted.DECISION, "it waits for no review, or not any more")
        self.decision, self._wanted = message, None
        if message.approved:
            self._tell(E.REVIEW_PASSED, message, reason=message.note)
            await self._write()
        else:
            await self._until_ended_as(OrderStatus.REJECTED)

    async def amend(self, message: AmendOrder) -> None:
        """Go on with smaller quantities."""
        self._refuse_unless(Wanted.AMENDMENT, "it waits for no amendment, or not any more")
        details = self._order.details
        quantities = self._available if message.quantities is None else message.quantities
        try:
            lines = details.amended(quantities).lines
        except ImpossibleAmendment as error:
            raise refused(str(error)) from error
        self._wanted = None
        self._tell(E.AMENDED, message, lines=[asdict(line) for line in lines], currency=details.currency)
        await self._write()

    async def change_address(self, message: ChangeAddress) -> None:
        """Have the parcel go elsewhere."""
        self._refuse_after_dispatch("sent elsewhere")
        self._refuse_while_cancelling()

        def note(accepted: bool) -> None:
            if accepted:
                self._tell(E.ADDRESS_CHANGED, message, address=asdict(message.address))

        if self.parcel is None or self._order.status is not OrderStatus.FULFILLING:
            note(accepted=True)
        elif not await self._redirect(self.parcel, message.address, note):
            raise refused(TOO_LATE)
        await self._write()

    async def cancel_payment(self, message: CancelPayment) -> None:
        """Call the payment off."""
        self._refuse_unless_payment_is_on()
        self._tell(E.PAYMENT_CANCEL_REQUESTED, message, reason=message.reason)
        await self._call_parcel_back()
        # While the parcel was asked, another message may have done the same.
        self._refuse_unless_payment_is_on()
        self.payment_cancellation = message
        if self._order.payment.status is P.UNPAID:
            # It is not due yet: when it is, the lifecycle finds this note.
            await self._write()
            return
        await workflow.wait_condition(lambda: self.is_closed or self.payment_cancellation is not message)
        if self.payment_cancellation is message:
            raise refused(f"the order was {self._order.status} first")

    async def retry_payment(self, message: RetryPayment) -> None:
        """Offer another payment method."""
        self._refuse_unless(Wanted.PAYMENT_METHOD, "it waits for no other payment method, or not any more")
        self._wanted = None
        self._tell(E.PAYMENT_METHOD_CHANGED, message, payment_method=message.payment_method)
        await self._write()

    async def _redirect(self, parcel: Parcel, address: Address, note: Callable[[bool], None]) -> bool:
        # Until the parcel has answered the version stays as it is, though somebody is changing the order.
        self._redirections += 1
        try:
            return await parcel.take_new_address(address, note)
        finally:
            self._redirections -= 1

    def _refuse_unless_cancellable(self) -> None:
        self._refuse_after_dispatch("cancelled")
        # Not to wait for the same: Temporal lets only ten messages of an order wait at a time.
        self._refuse_while_cancelling()

    async def _call_parcel_back(self) -> None:
        is_at_work = self.parcel is not None and self._order.status is OrderStatus.FULFILLING
        if is_at_work and self.parcel and not await self.parcel.come_back():
            raise refused(TOO_LATE)

    async def _until_ended_as(self, status: OrderStatus) -> None:
        await workflow.wait_condition(lambda: self.is_closed)
        if self._order.status is not status:
            raise refused(f"the order was {self._order.status} first")

    def _refuse_unless(self, wanted: Wanted, otherwise: str) -> None:
        self._refuse_while_cancelling()
        if self._wanted is not wanted:
            raise refused(f"the order is {self._order.status}: {otherwise}")

    def _refuse_unless_payment_is_on(self) -> None:
        self._refuse_after_dispatch("given its money back")
        self._refuse_while_cancelling()
        if self.payment_cancellation:
            raise refused("the payment is being cancelled already")
        status = self._order.payment.status
        if status not in CANCELLABLE:
            raise refused(f"the payment is {status}: there is nothing to cancel")

    def _refuse_after_dispatch(self, what: str) -> None:
        status = self._order.status
        if status not in BEFORE_DISPATCH:
            raise refused(f"the order is {status}: it can't be {what} any more")

    def _refuse_while_cancelling(self) -> None:
        if self._cancellation:
            raise refused("the order is being cancelled")
