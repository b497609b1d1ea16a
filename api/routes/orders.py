"""Orders: place one, look it up, list them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response, status

from api.auth import Scope
from api.bodies import OrderBody
from api.dependencies import Caller, Lists, OrderId, Orders, needs
from api.exact_json import ExactJsonRoute
from api.lists import ListQuery
from api.preconditions import TAGGED, IfNoneMatch, Key, etag, is_known, key_of, listed
from api.problems import GUARDED, WITH_BODY, responses
from api.schemas import OrderList, OrderView

router = APIRouter(prefix="/orders", tags=["orders"], route_class=ExactJsonRoute)
PLACED = {
    "Location": {"description": "where the order is", "required": True, "schema": {"type": "string"}},
    "Idempotent-Replayed": {"description": "it was placed before, under this key", "schema": {"const": "true"}},
}
LINKS = {
    "Link": {"description": '`rel="first"` and, if there is one, `rel="next"` (RFC 8288)', "schema": {"type": "string"}}
}


@router.post(
    "",
    operation_id="placeOrder",
    status_code=status.HTTP_201_CREATED,
    dependencies=[needs(Scope.WRITE)],
    responses={
        201: {"headers": {**TAGGED, **PLACED}},
        **responses(*GUARDED, *WITH_BODY, "idempotency-key-reused"),
    },
)
async def place(
    body: OrderBody, orders: Orders, caller: Caller, request: Request, response: Response, _key: Key = None
) -> OrderView:
    """Place an order; its life begins at once. With an `Idempotency-Key` it is placed once, however often sent."""
    placed = await orders.place(body.details(), caller, key_of(request))
    response.headers["Location"] = f"{request.scope.get('root_path', '')}/orders/{placed.order.id}"
    response.headers["ETag"] = etag(placed.order)
    if placed.is_repeat:
        response.headers["Idempotent-Replayed"] = "true"
    return OrderView.of(placed.order)


@router.get(
    "",
    operation_id="listOrders",
    dependencies=[needs(Scope.READ)],
    responses={200: {"headers": LINKS}, **responses(*GUARDED, "validation")},
)
async def list_orders(
    query: Annotated[ListQuery, Query()], lists: Lists, request: Request, response: Response
) -> OrderList:
    """List orders, newest first, page by page: those that all the filters let pass."""
    page = await lists.page(query)
    response.headers["Link"] = ", ".join(_links(request, page.next))
    return OrderList(data=[OrderView.of(order) for order in page.orders], next=page.next)


@router.get(
    "/{order_id}",
    operation_id="getOrder",
    response_model=OrderView,
    dependencies=[needs(Scope.READ)],
    responses={
        200: {"headers": TAGGED},
        304: {"description": "The order is as it was", "headers": TAGGED},
        **responses(*GUARDED, "not-found", "validation"),
    },
)
async def get(
    order_id: OrderId, orders: Orders, request: Request, response: Response, _if_none_match: IfNoneMatch = None
) -> OrderView | Response:
    """Look an order up."""
    order = await orders.get(order_id)
    headers = {"ETag": etag(order), "Cache-Control": "private, no-cache"}
    if is_known(order, listed(request, "If-None-Match")):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    response.headers.update(headers)
    return OrderView.of(order)


def _links(request: Request, cursor: str | None) -> Iterator[str]:
    path = f"{request.scope.get('root_path', '')}/orders"
    filters = [each for each in request.query_params.multi_items() if each[0] != "cursor"]
    yield f'<{path}?{urlencode(filters)}>; rel="first"'
    if cursor:
        yield f'<{path}?{urlencode([*filters, ("cursor", cursor)])}>; rel="next"'
