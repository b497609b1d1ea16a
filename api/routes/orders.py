"""Orders: place one, look it up, list them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response, status

from api.bodies import OrderBody
from api.dependencies import Caller, Lists, OrderId, Orders
from api.errors import responses
from api.exact_json import ExactJsonRoute
from api.lists import ListQuery
from api.schemas import OrderList, OrderView

router = APIRouter(prefix="/orders", tags=["orders"], route_class=ExactJsonRoute)
LINKS = {
    "Link": {"description": '`rel="first"` and, if there is one, `rel="next"` (RFC 8288)', "schema": {"type": "string"}}
}


@router.post(
    "", operation_id="placeOrder", status_code=status.HTTP_201_CREATED, responses=responses(400, 413, 422, 503)
)
async def place(body: OrderBody, orders: Orders, caller: Caller, response: Response) -> OrderView:
    """Place an order; its life begins at once."""
    order = await orders.place(body.details(), caller)
    response.headers["Location"] = f"/orders/{order.id}"
    return OrderView.of(order)


@router.get("", operation_id="listOrders", responses={200: {"headers": LINKS}, **responses(422, 503)})
async def list_orders(
    query: Annotated[ListQuery, Query()], lists: Lists, request: Request, response: Response
) -> OrderList:
    """List orders, newest first, page by page: those that all the filters let pass."""
    page = await lists.page(query)
    response.headers["Link"] = ", ".join(_links(request, page.next))
    return OrderList(data=[OrderView.of(order) for order in page.orders], next=page.next)


@router.get("/{order_id}", operation_id="getOrder", responses=responses(404, 422, 503))
async def get(order_id: OrderId, orders: Orders) -> OrderView:
    """Look an order up."""
    return OrderView.of(await orders.get(order_id))


def _links(request: Request, cursor: str | None) -> Iterator[str]:
    path = request.url_for(list_orders.__name__).path
    filters = [each for each in request.query_params.multi_items() if each[0] != "cursor"]
    yield f'<{path}?{urlencode(filters)}>; rel="first"'
    if cursor:
        yield f'<{path}?{urlencode([*filters, ("cursor", cursor)])}>; rel="next"'
