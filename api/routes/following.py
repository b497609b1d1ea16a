"""Following an order: its audit trail, and what it is doing."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.auth import Scope
from api.dependencies import LiveProgress, OrderId, Orders, needs
from api.errors import responses
from api.exact_json import ExactJsonRoute
from api.schemas import EventList, EventView, ProgressView

router = APIRouter(prefix="/orders", tags=["orders"], route_class=ExactJsonRoute)


@router.get(
    "/{order_id}/events",
    operation_id="listOrderEvents",
    dependencies=[needs(Scope.READ)],
    responses=responses(401, 403, 404, 422, 503),
)
async def events(
    order_id: OrderId,
    orders: Orders,
    after: Annotated[int, Query(ge=0, le=2**31 - 1, description="only events behind this `seq`")] = 0,
) -> EventList:
    """Read an order's audit trail, oldest first."""
    return EventList(data=[EventView.of(event) for event in await orders.events(order_id, after)])


@router.get(
    "/{order_id}/progress",
    operation_id="getOrderProgress",
    dependencies=[needs(Scope.READ)],
    responses=responses(401, 403, 404, 422, 503),
)
async def progress(order_id: OrderId, live: LiveProgress) -> ProgressView:
    """Say what an order is doing in this moment, what it waits for, and how often that was tried."""
    return ProgressView.of(order_id, await live.of(order_id))
