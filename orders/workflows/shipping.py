"""One parcel, from the shelf to the customer's door."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from orders.activities.shipping import ShippingActivities
    from orders.contracts import (
        SHIPPING_QUEUE,
        CarrierEvent,
        ChangeLabel,
        Dispatched,
        Request,
        ShipmentAnswer,
        ShipmentReport,
        ShipmentStep,
        ShipmentTrouble,
        ShipOrder,
        Track,
    )
    from orders.model import ARRIVED, SHIPMENT_MOVES, ShipmentStatus
    from orders.workflows.steps import Partner, undisturbed, until

LOOK_AGAIN = timedelta(hours=6)
"""How often a carrier is asked for a parcel's whereabouts when it doesn't say when to ask."""
MOST_IDLE = 20
"""How much of what carriers tell in vain is put on record."""
AT_MOST_EVERY, SELDOM = timedelta(seconds=1), timedelta(hours=1)


@workflow.defn
class ShippingWorkflow:
    """Child of an ``OrderWorkflow``, which it tells what happens: what is final as its result, all else by signal."""

    @workflow.init
    def __init__(self, request: ShipOrder) -> None:
        self._request = request
        self._address = request.address
        self._partner = Partner(SHIPPING_QUEUE, request.partners, self._report_trouble)
        self._steps: list[ShipmentStep] = []
        self._idle: list[ShipmentStep] = []
        self._recalled = False
        self._leaving = False
        self._may_try = True
        self._asked = 0
        self._heard: set[str] = set()
        self._early: list[CarrierEvent] = []

    @workflow.run
    async def run(self, request: ShipOrder) -> ShipmentReport:
        """Ship the goods; the report ends where the parcel did: ``recalled`` if the order changed its mind."""
        return await undisturbed(self._ship(), on_cancel=self._stop_if_possible)

    async def _ship(self) -> ShipmentReport:
        prepared = self._partner.ask(ShippingActivities.prepare, self._request)
        self._steps += await until(lambda: self._recalled, prepared) or []
        if dispatched := await self._hand_over():
            await self._follow(dispatched)
        else:
            await self._partner.ask(ShippingActivities.put_back, self._request.shipment_id)
            self._steps.append(ShipmentStep(ShipmentStatus.RECALLED, workflow.now()))
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._report()

    async def _hand_over(self) -> Dispatched | None:
        """Try as often as the order says; None when it calls the parcel back."""
        while not self._recalled:
            # From here on nobody can say any more whether the parcel has left: no recall, no other address.
            self._leaving = True
            request = replace(self._request, address=self._address)
            answer = await self._partner.ask(ShippingActivities.dispatch, request)
            if answer.dispatched:
                return answer.dispatched
            self._leaving = self._may_try = False
            trouble = self._trouble(answer.refused or "", refused=True)
            if not await self._tell_order("shipment_in_trouble", trouble):
                # Nobody is left who could have it tried again.
                self._recalled = True
            await workflow.wait_condition(lambda: self._may_try or self._recalled)
        return None

    async def _follow(self, dispatched: Dispatched) -> None:
        self._steps += dispatched.steps
        tracking = dispatched.tracking
        self._note(tracking.status, tracking.at)
        for event in self._early:
            self._hear(event)
        look_again = tracking.look_again_after
        while self._last not in ARRIVED:
            # What comes while the order is being told is news as well.
            known = len(self._steps)
            await self._tell_order("shipment_reported", self._report())
            look_again = await self._wait_for_news(known, dispatched.track, look_again)

    async def _wait_for_news(self, known: int, track: Track, look_again: timedelta | None) -> timedelta | None:
        """Wait for the carrier's word, and ask for it now and then; say so once when it is overdue."""
        overdue: datetime | None = workflow.now() + self._request.delivery_timeout

        def has_news() -> bool:
            return len(self._steps) > known

        while not has_news():
            # Less and less often, however soon the carrier wants to be asked: each time costs history.
            look_at = workflow.now() + max(look_again or LOOK_AGAIN, min(AT_MOST_EVERY * 2**self._asked, SELDOM))
            wake_at = min(look_at, overdue) if overdue else look_at
            try:
                await workflow.wait_condition(has_news, timeout=wake_at - workflow.now())
            except TimeoutError:
                if wake_at == overdue:
                    overdue = None
                    await self._report_trouble(f"no news of the parcel for {self._request.delivery_timeout}")
                else:
                    # Who doesn't say where it is by then has said nothing new: that shows when news are overdue.
                    patience = self._request.partners.stuck_after
                    patience = min(patience, overdue - workflow.now()) if overdue else patience
                    self._asked += 1
                    asking = self._partner.ask_once(ShippingActivities.track, track, patience)
                    if tracking := await until(has_news, asking):
                        self._note(tracking.status, tracking.at)
                        look_again = tracking.look_again_after
        return look_again

    # What its carrier tells

    @workflow.signal
    def carrier_event(self, event: CarrierEvent) -> None:
        """Hear where the parcel is; what comes twice, or after what follows it, changes nothing."""
        if event.id in self._heard:
            return
        self._heard.add(event.id)
        if self._steps and self._last in {ShipmentStatus.DISPATCHED, ShipmentStatus.IN_TRANSIT} | ARRIVED:
            self._hear(event)
        else:
            # The carrier's word may be here before its answer to the hand-over.
            self._early.append(event)

    # What its order asks

    @workflow.signal
    async def recall(self, request: Request) -> None:
        """Stop and put everything back; refused once the parcel is leaving."""
        accepted = not self._leaving
        self._stop()
        await self._tell_order("shipment_answered", ShipmentAnswer(self._request.shipment_id, request.number, accepted))

    @workflow.signal
    async def change_label(self, change: ChangeLabel) -> None:
        """Go elsewhere; refused once the parcel is leaving."""
        accepted = not self._leaving
        if accepted:
            self._address = change.address
        await self._tell_order("shipment_answered", ShipmentAnswer(self._request.shipment_id, change.number, accepted))

    @workflow.signal
    def try_again(self) -> None:
        """Try the hand-over once more, after the carrier has refused it."""
        self._may_try = True

    # How it does these things

    @property
    def _last(self) -> ShipmentStatus:
        return self._steps[-1].status

    def _note(self, status: ShipmentStatus, at: datetime, **told: Any) -> None:
        if status in SHIPMENT_MOVES[self._last]:
            self._steps.append(ShipmentStep(status, at, **told))

    def _hear(self, event: CarrierEvent) -> None:
        told: dict[str, Any] = {"note": event.note, "event": event.id, "actor": event.actor, "trace_id": event.trace_id}
        if event.status in SHIPMENT_MOVES[self._last]:
            self._note(event.status, event.at, **told)
        elif len(self._idle) < MOST_IDLE:
            self._idle.append(ShipmentStep(event.status, event.at, **told))

    async def _stop_if_possible(self) -> None:
        self._stop()

    def _stop(self) -> None:
        self._recalled = not self._leaving

    def _report(self) -> ShipmentReport:
        return ShipmentReport(self._request.shipment_id, self._steps, self._idle)

    def _trouble(self, reason: str, *, refused: bool) -> ShipmentTrouble:
        return ShipmentTrouble(self._request.shipment_id, self._steps, self._idle, reason, refused)

    async def _report_trouble(self, reason: str) -> None:
        await self._tell_order("shipment_in_trouble", self._trouble(reason, refused=False))

    async def _tell_order(self, signal: str, message: ShipmentReport | ShipmentAnswer | ShipmentTrouble) -> bool:
        """Signal the order; False if it is gone."""
        order = workflow.info().parent
        if order is None:
            return False
        try:
            # Whichever run it is: an order that somebody has reset is still the same order.
            await workflow.get_external_workflow_handle(order.workflow_id).signal(signal, message)
        except ApplicationError as gone:
            # The parcel is under way all the same, and the log says that nobody is waiting for it.
            workflow.logger.warning("the order of shipment %s is gone: %s", self._request.shipment_id, gone)
            return False
        return True
