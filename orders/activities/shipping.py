"""Calls to the warehouse and the carriers, on the queue ``shipping``."""

from __future__ import annotations

from datetime import UTC, datetime

from temporalio import activity

from orders.contracts import DispatchAnswer, Dispatched, ShipmentStep, ShipOrder, Track, Tracking
from orders.errors import DispatchRefused
from orders.model import ShipmentStatus
from orders.ports import Carrier, Warehouse


class ShippingActivities:
    """Moves parcels. Each partner knows the shipment's id, so a repeated step has one effect."""

    def __init__(self, warehouse: Warehouse, carrier: Carrier) -> None:
        self._warehouse = warehouse
        self._carrier = carrier

    @activity.defn(name="prepare")
    async def prepare(self, request: ShipOrder) -> list[ShipmentStep]:
        """Pick and pack the goods."""
        await self._warehouse.pick(request.shipment_id, request.lines)
        picked = ShipmentStep(ShipmentStatus.PICKED, datetime.now(UTC))
        await self._warehouse.pack(request.shipment_id)
        return [picked, ShipmentStep(ShipmentStatus.PACKED, datetime.now(UTC))]

    @activity.defn(name="put_back")
    async def put_back(self, shipment_id: str) -> None:
        """Put the goods back, however far the parcel came."""
        await self._warehouse.put_back(shipment_id)

    @activity.defn(name="dispatch")
    async def dispatch(self, request: ShipOrder) -> DispatchAnswer:
        """Choose a carrier, get a tracking number, print the label and hand the parcel over."""
        try:
            return DispatchAnswer(dispatched=await self._hand_over(request))
        except DispatchRefused as error:
            # An answer, not an error to retry: whether to try again is the order's decision.
            return DispatchAnswer(refused=str(error))

    async def _hand_over(self, request: ShipOrder) -> Dispatched:
        carrier = await self._carrier.choose(request.address, request.lines)
        booking = await self._carrier.book(request.shipment_id, carrier)
        labelled = ShipmentStep(
            ShipmentStatus.LABELLED,
            datetime.now(UTC),
            carrier=booking.carrier,
            tracking_number=booking.tracking_number,
        )
        tracking = await self._carrier.dispatch(request.shipment_id, booking, request.address)
        dispatched = ShipmentStep(ShipmentStatus.DISPATCHED, tracking.dispatched_at, address=request.address)
        return Dispatched([labelled, dispatched], Track(*booking), tracking)

    @activity.defn(name="track")
    async def track(self, track: Track) -> Tracking:
        """Ask the carrier where the parcel is."""
        return await self._carrier.track(track)
