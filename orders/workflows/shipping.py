"""One parcel, from the shelf to the customer's door."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from orders.activities.shipping import ShippingActivities
    from orders.contracts import (
        ChangeLabel,
        Request,
        ShipmentAnswer,
        ShipmentReport,
        ShipmentStep,
        ShipOrder,
    )
    from orders.model import ShipmentStatus
    from orders.workflows.steps import PARTNER, undisturbed, until

LOOK_AGAIN = timedelta(hours=6)
"""How often a carrier is asked for a parcel's whereabouts when it doesn't say when to ask."""


@workflow.defn
class ShippingWorkflow:
    """Child of an ``OrderWorkflow``, which it tells what happens: what is final as its result, all else by signal."""

    @workflow.init
    def __init__(self, request: ShipOrder) -> None:
        self._request = request
        self._address = request.address
        self._steps: list[ShipmentStep] = []
        self._recalled = False
        self._leaving = False

    @workflow.run
    async def run(self, request: ShipOrder) -> ShipmentReport:
        """Ship the goods; the report ends with ``delivered``, or with ``recalled`` if the order changed its mind."""
        return await undisturbed(self._ship(), on_cancel=self._stop_if_possible)

    async def _ship(self) -> ShipmentReport:
        self._steps += (
            await until(
                lambda: self._recalled,
                workflow.execute_activity_method(ShippingActivities.prepare, self._request, **PARTNER),
            )
            or []
        )
        if self._recalled:
            await workflow.execute_activity_method(ShippingActivities.put_back, self._request.shipment_id, **PARTNER)
            self._steps.append(ShipmentStep(ShipmentStatus.RECALLED, workflow.now()))
        else:
            await self._send()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._report()

    async def _send(self) -> None:
        # From here on nobody can say any more whether the parcel has left: no recall, no other address.
        self._leaving = True
        request = replace(self._request, address=self._address)
        dispatched = await workflow.execute_activity_method(ShippingActivities.dispatch, request, **PARTNER)
        self._steps += dispatched.steps
        tracking = dispatched.tracking
        if tracking.status is not ShipmentStatus.DELIVERED:
            await self._tell_order("shipment_reported", self._report())
        while tracking.status is not ShipmentStatus.DELIVERED:
            await workflow.sleep(tracking.look_again_after or LOOK_AGAIN)
            tracking = await workflow.execute_activity_method(ShippingActivities.track, dispatched.track, **PARTNER)
        self._steps.append(ShipmentStep(ShipmentStatus.DELIVERED, tracking.at))

    @workflow.signal
    async def recall(self, request: Request) -> None:
        """Stop and put everything back; refused once the parcel is leaving."""
        accepted = not self._leaving
        self._stop()
        await self._tell_order("shipment_answered", ShipmentAnswer(request.number, accepted))

    @workflow.signal
    async def change_label(self, change: ChangeLabel) -> None:
        """Go elsewhere; refused once the parcel is leaving."""
        accepted = not self._leaving
        if accepted:
            self._address = change.address
        await self._tell_order("shipment_answered", ShipmentAnswer(change.number, accepted))

    async def _stop_if_possible(self) -> None:
        self._stop()

    def _stop(self) -> None:
        self._recalled = not self._leaving

    def _report(self) -> ShipmentReport:
        return ShipmentReport(self._steps)

    async def _tell_order(self, signal: str, message: ShipmentReport | ShipmentAnswer) -> None:
        order = workflow.info().parent
        if order is None:
            return
        try:
            await workflow.get_external_workflow_handle(order.workflow_id, run_id=order.run_id).signal(signal, message)
        except ApplicationError as gone:
            # The parcel is under way all the same, and the log says that nobody is waiting for it.
            workflow.logger.warning("the order of shipment %s is gone: %s", self._request.shipment_id, gone)
