"""Calls to the warehouse and the carriers, on the queue ``shipping``."""

from __future__ import annotations

from datetime import UTC, datetime

from temporalio import activity

from orders.contracts import Dispatch, ShipmentStep, ShipOrder, Track, Tracking
from orders.model import ShipmentStatus
from orders.ports import Carrier, Warehouse


class ShippingActivities:
    """Moves parcels. Each partner knows the shipment's id, so a repeated step has one effect."""

    def __init__(self, warehouse: Warehouse, carrier: Carrier) -> None:
        self._warehouse = warehouse
        self._carrier = carrier

    @activity.defn(name="prepare")
    async def prepare(self, request: ShipOrder) -> list[ShipmentStep]:
        """Pick and pack the goods, choose a carrier and get a tracking number."""
        await self._warehouse.pick(request.shipment_id, request.lines)
        picked = ShipmentStep(ShipmentStatus.PICKED, datetime.now(UTC))
        await self._warehouse.pack(request.shipment_id)
        packed = ShipmentStep(ShipmentStatus.PACKED, datetime.now(UTC))
        carrier = await self._carrier.choose(request.address, request.lines)
        booking = await self._carrier.book(request.shipment_id, carrier)
        labelled = ShipmentStep(
            ShipmentStatus.LABELLED,
            datetime.now(UTC),
            carrier=booking.carrier,
            tracking_number=booking.tracking_number,
        )
        return [picked, packed, labelled]

    @activity.defn(name="dispatch")
    async def dispatch(self, dispatch: Dispatch) -> Tracking:
        """Print the label and hand the parcel to the carrier."""
        return await self._carrier.dispatch(dispatch)

    @activity.defn(name="recall")
    async def recall(self, shipment_id: str) -> None:
        """Give up the booking and put the goods back, however far the parcel came."""
        await self._carrier.void(shipment_id)
        await self._warehouse.put_back(shipment_id)

    @activity.defn(name="track")
    async def track(self, track: Track) -> Tracking:
        """Ask the carrier where the parcel is."""
        return await self._carrier.track(track)
