"""Orders: place one, look it up."""

from __future__ import annotations

from fastapi import APIRouter, Response, status

from api.auth import Scope
from api.bodies import OrderBody
from api.dependencies import Caller, OrderId, Orders, needs
from api.errors import responses
from api.exact_json import ExactJsonRoute
from api.schemas import OrderView

router = APIRouter(prefix="/orders", tags=["orders"], route_class=ExactJsonRoute)


@router.post(
    "",
    operation_id="placeOrder",
    status_code=status.HTTP_201_CREATED,
    dependencies=[needs(Scope.WRITE)],
    responses=responses(400, 401, 403, 413, 422, 503),
)
async def place(body: OrderBody, orders: Orders, caller: Caller, response: Response) -> OrderView:
    """Place an order; its life begins at once."""
    order = await orders.place(body.details(), caller)
    response.headers["Location"] = f"/orders/{order.id}"
    return OrderView.of(order)


@router.get(
    "/{order_id}",
    operation_id="getOrder",
    dependencies=[needs(Scope.READ)],
    responses=responses(401, 403, 404, 422, 503),
)
async def get(order_id: OrderId, orders: Orders) -> OrderView:
    """Look an order up."""
    return OrderView.of(await orders.get(order_id))
