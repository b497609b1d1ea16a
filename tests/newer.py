"""The workflows as a later release might have them: what orders that are under way must not notice is patched."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orders.contracts import PlaceOrder, ShipmentReport, ShipOrder
    from orders.model import OrderStatus
    from orders.workflows.order import OrderWorkflow
    from orders.workflows.shipping import ShippingWorkflow

A_MOMENT = timedelta(milliseconds=20)
THINK_TWICE, LOOK_BACK, WRAP = "think twice", "look back", "wrap"


@workflow.defn(name="OrderWorkflow")
class NewerOrder(OrderWorkflow):
    """Waits a moment before its review, and one after its delivery."""

    @workflow.init
    def __init__(self, request: PlaceOrder) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: PlaceOrder) -> OrderStatus:
        return await super().run(request)

    async def _review(self) -> None:
        if workflow.patched(THINK_TWICE):
            await workflow.sleep(A_MOMENT)
        await super()._review()

    async def _deliver(self) -> None:
        await super()._deliver()
        if workflow.patched(LOOK_BACK):
            await workflow.sleep(A_MOMENT)


@workflow.defn(name="ShippingWorkflow")
class NewerParcel(ShippingWorkflow):
    """Waits a moment before it is packed."""

    @workflow.init
    def __init__(self, request: ShipOrder) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: ShipOrder) -> ShipmentReport:
        return await super().run(request)

    async def _ship(self) -> ShipmentReport:
        if self._is_wrapped():
            await workflow.sleep(A_MOMENT)
        return await super()._ship()

    def _is_wrapped(self) -> bool:
        return workflow.patched(WRAP)


@workflow.defn(name="ShippingWorkflow")
class OtherParcel(NewerParcel):
    """The same without a patch: nothing for parcels that began before."""

    @workflow.init
    def __init__(self, request: ShipOrder) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: ShipOrder) -> ShipmentReport:
        return await super().run(request)

    def _is_wrapped(self) -> bool:
        return True
