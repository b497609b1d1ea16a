"""An order's parcel while it is at work: what the order asks of it, and what it hears from it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from typing import Any, TypeAlias

from temporalio import workflow
from temporalio.exceptions import ApplicationError, ChildWorkflowError
from temporalio.workflow import ChildWorkflowHandle, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from orders.activities.shipping import ShippingActivities
    from orders.contracts import (
        SHIPPING_QUEUE,
        ChangeLabel,
        Request,
        ShipmentAnswer,
        ShipmentReport,
        ShipmentStep,
        ShipmentTrouble,
        ShipOrder,
        shipment_workflow_id,
    )
    from orders.details import Address
    from orders.model import EventType, OrderStatus, Origin, ShipmentStatus
    from orders.policy import Policy
    from orders.workflows.journal import Journal
    from orders.workflows.shipping import ShippingWorkflow
    from orders.workflows.steps import Partner

E = EventType
Handle: TypeAlias = ChildWorkflowHandle[ShippingWorkflow, ShipmentReport]


class Parcel:
    """A ``ShippingWorkflow`` as its order sees it; it alone knows whether it is too late to ask something of it."""

    def __init__(self, journal: Journal, policy: Policy, shippers: Partner) -> None:
        self._order, self._tell, self._write = journal.order, journal.tell, journal.write
        self._policy = policy
        self._shippers = shippers
        self._handle: Handle | None = None
        self._has_begun = False
        self.is_called_back = False
        self.refusals: list[str] = []
        self._steps_seen = self._idle_seen = 0
        self._asking = asyncio.Lock()
        self._requests = 0
        self._answers: dict[int, bool] = {}
        self._on_answer: dict[int, Callable[[bool], None]] = {}

    # For the story

    async def request(self) -> None:
        """Note that the order is going to be shipped."""
        self._tell(E.SHIPMENT_REQUESTED, shipment=f"{self._order.id}:{len(self._order.shipments) + 1}")
        await self._write()

    async def hand_over(self) -> bool:
        """Ship; False when it came back: because it was called back, or because no carrier takes it.

        Raises:
            WorkflowAlreadyStartedError: a parcel with this id is at work, or was.
            ChildWorkflowError: nobody follows it any more: somebody has terminated its workflow.
        """
        try:
            self._handle = await self._start()
        finally:
            self._has_begun = True
        tried = 0
        while not self._is_shipped():
            await workflow.wait_condition(
                lambda: self.is_done or self._is_shipped() or len(self.refusals) > tried  # noqa: B023
            )
            if self._is_shipped():
                break
            if self.is_done:
                await self.arrive()
                if self._order.shipment.status is ShipmentStatus.RECALLED:
                    return False
            else:
                tried += 1
                await self._after_refusal()
        return True

    @property
    def is_refused(self) -> bool:
        """Whether no carrier takes it, after as many tries as the shop's rules allow."""
        return len(self.refusals) >= self._policy.dispatch_attempts

    @property
    def is_done(self) -> bool:
        """Whether nothing more will be heard of it but what its last report says."""
        return self._handle is not None and self._handle.done()

    async def arrive(self) -> ShipmentStatus:
        """Wait for its end, and say which it was.

        Raises:
            ChildWorkflowError: nobody follows it any more.
        """
        assert self._handle
        self.take(await self._handle)
        return self._order.shipment.status

    async def put_back(self) -> None:
        """Have its goods put back, if it is one that nobody follows any more; otherwise it has done so itself."""
        if self._order.shipment.status is not ShipmentStatus.RECALLED:
            await self._shippers.ask(ShippingActivities.put_back, self._order.shipment.id)

    # For those who change their mind

    async def come_back(self) -> bool:
        """Ask it to stop and to put everything back; False if it is leaving already."""
        number = self._number(self._note_recall)
        return await self._ask(number, lambda handle: handle.signal(ShippingWorkflow.recall, Request(number)))

    async def take_new_address(self, address: Address, on_answer: Callable[[bool], None]) -> bool:
        """Ask it to go elsewhere; False if it is leaving already."""
        number = self._number(on_answer)
        change = ChangeLabel(number, address)
        return await self._ask(number, lambda handle: handle.signal(ShippingWorkflow.change_label, change))

    # What it says itself

    def take(self, report: ShipmentReport) -> None:
        """Note what is new in a report of this parcel; one of an earlier parcel has nothing new."""
        if report.shipment_id != self._order.shipment.id:
            return
        for idle in report.idle[self._idle_seen :]:
            reason = f"{idle.status} changes nothing any more"
            self._tell(E.REFUSED, _teller(idle), request="carrier_event", event=idle.event, reason=reason)
        self._idle_seen = max(self._idle_seen, len(report.idle))
        news, self._steps_seen = report.steps[self._steps_seen :], max(self._steps_seen, len(report.steps))
        for step in news:
            facts = {name: value for name, value in asdict(step).items() if value is not None}
            for each in ("status", "at", "actor", "trace_id"):
                facts.pop(each, None)
            self._tell(E(step.status), _teller(step), at=step.at, **facts)

    def refused(self, trouble: ShipmentTrouble) -> None:
        """Note that the carrier did not take it."""
        self.take(trouble)
        self.refusals.append(trouble.reason)
        facts: dict[str, Any] = {
            "attempt": len(self.refusals),
            "of": self._policy.dispatch_attempts,
            "reason": trouble.reason,
        }
        if not self.is_refused:
            facts["until"] = (workflow.now() + self._until_next_try()).isoformat()
        self._tell(E.DISPATCH_FAILED, **facts)

    def answered(self, answer: ShipmentAnswer) -> None:
        """Take its answer, and act on it before anything that it reports later."""
        is_asked = answer.shipment_id == self._order.shipment.id and answer.number in self._on_answer
        if is_asked and answer.number not in self._answers:
            self._answers[answer.number] = answer.accepted
            self._on_answer[answer.number](answer.accepted)

    # How it does these things

    async def _start(self) -> Handle:
        details = self._order.details
        shipment_id = self._order.shipment.id
        return await workflow.start_child_workflow(
            ShippingWorkflow.run,
            ShipOrder(
                shipment_id,
                details.lines,
                details.shipping_address,
                self._policy.partners,
                self._policy.delivery_timeout,
            ),
            id=shipment_workflow_id(shipment_id),
            task_queue=SHIPPING_QUEUE,
            # Should the order be terminated, its parcel comes back by itself if it still can.
            parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
        )

    def _is_shipped(self) -> bool:
        return self._order.status is OrderStatus.SHIPPED

    def _until_next_try(self) -> timedelta:
        factor: int = 2 ** (len(self.refusals) - 1)
        return self._policy.dispatch_retry_after * factor

    async def _after_refusal(self) -> None:
        """Call it back in the end; else have it tried again after a while, or as soon as it is to go elsewhere."""
        if self.is_refused:
            await self.come_back()
            return
        address = self._order.details.shipping_address
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self.is_done or self._order.details.shipping_address != address,
                timeout=self._until_next_try(),
            )
        if self._handle and not self.is_done:
            # It may be called back in this very moment: its report then says so.
            with suppress(ApplicationError):
                await self._handle.signal(ShippingWorkflow.try_again)

    def _note_recall(self, accepted: bool) -> None:
        self.is_called_back = self.is_called_back or accepted

    def _own_answer(self, number: int, *, accepted: bool) -> ShipmentAnswer:
        return ShipmentAnswer(self._order.shipment.id, number, accepted)

    def _number(self, on_answer: Callable[[bool], None]) -> int:
        self._requests += 1
        self._on_answer[self._requests] = on_answer
        return self._requests

    async def _ask(self, number: int, ask: Callable[[Handle], Awaitable[None]]) -> bool:
        # One question at a time: signals sent together may arrive in any order, and so may their answers.
        async with self._asking:
            return await self._ask_alone(number, ask)

    async def _ask_alone(self, number: int, ask: Callable[[Handle], Awaitable[None]]) -> bool:
        await workflow.wait_condition(lambda: self._has_begun)
        handle = self._handle
        if handle is None:
            # Another one is in its place: nothing of this one is at work.
            self.answered(self._own_answer(number, accepted=True))
            return True
        if not handle.done():
            try:
                await ask(handle)
            except ApplicationError:
                # It has come to its end in this very moment; its report says how.
                await workflow.wait_condition(handle.done)
        await workflow.wait_condition(lambda: number in self._answers or handle.done())
        # Of a parcel that has been called back nothing is asked too late.
        self.answered(self._own_answer(number, accepted=handle.done() and await _was_recalled(handle)))
        return self._answers[number]


def _teller(step: ShipmentStep) -> Origin | None:
    return Origin(step.actor, step.trace_id) if step.actor else None


async def _was_recalled(handle: Handle) -> bool:
    try:
        return (await handle).steps[-1].status is ShipmentStatus.RECALLED
    except ChildWorkflowError:
        return True
