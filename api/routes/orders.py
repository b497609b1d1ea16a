"""Orders: place one, follow it, change its mind."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response, status

from api.bodies import AddressBody, AmendBody, CancelBody, OrderBody, RetryPaymentBody, ReviewBody
from api.dependencies import Caller, LiveProgress, Orders
from api.errors import UnknownOrder, responses
from api.exact_json import ExactJsonRoute
from api.schemas import EventList, EventView, OrderView, ProgressView
from api.service import ORDER_ID, OrderService
from orders.contracts import (
    AmendOrder,
    CancelOrder,
    CancelPayment,
    ChangeAddress,
    Message,
    RetryPayment,
    ReviewOrder,
)

router = APIRouter(prefix="/orders", tags=["orders"], route_class=ExactJsonRoute)


def known_form(
    order_id: Annotated[
        str, Path(max_length=128, description="as `POST /orders` gave it", examples=["ord_5f0c3d9a2b7e4f6a8c1d0e2f"])
    ],
) -> str:
    """Let pass only what can be an order's id.

    Raises:
        UnknownOrder: it can't be.
    """
    if not ORDER_ID.fullmatch(order_id):
        raise UnknownOrder(order_id)
    return order_id


OrderId = Annotated[str, Depends(known_form)]
MESSAGE = {
    202: {"model": OrderView, "description": "Accepted; the order still works on it"},
    **responses(400, 404, 409, 413, 422, 503),
}


@router.post(
    "", operation_id="placeOrder", status_code=status.HTTP_201_CREATED, responses=responses(400, 413, 422, 503)
)
async def place(body: OrderBody, orders: Orders, caller: Caller, response: Response) -> OrderView:
    """Place an order; its life begins at once."""
    order = await orders.place(body.details(), caller)
    response.headers["Location"] = f"/orders/{order.id}"
    return OrderView.of(order)


@router.get("/{order_id}", operation_id="getOrder", responses=responses(404, 422, 503))
async def get(order_id: OrderId, orders: Orders) -> OrderView:
    """Look an order up."""
    return OrderView.of(await orders.get(order_id))


@router.get("/{order_id}/events", operation_id="listOrderEvents", responses=responses(404, 422, 503))
async def events(
    order_id: OrderId,
    orders: Orders,
    after: Annotated[int, Query(ge=0, le=2**31 - 1, description="only events behind this `seq`")] = 0,
) -> EventList:
    """Read an order's audit trail, oldest first."""
    return EventList(data=[EventView.of(event) for event in await orders.events(order_id, after)])


@router.get("/{order_id}/progress", operation_id="getOrderProgress", responses=responses(404, 422, 503))
async def progress(order_id: OrderId, live: LiveProgress) -> ProgressView:
    """Say what an order is doing in this moment, what it waits for, and how often that was tried."""
    return ProgressView.of(order_id, await live.of(order_id))


@router.post("/{order_id}/cancel", operation_id="cancelOrder", responses=MESSAGE)
async def cancel(
    order_id: OrderId, orders: Orders, caller: Caller, response: Response, body: CancelBody | None = None
) -> OrderView:
    """End an order and undo everything; refused once the parcel is being handed to the carrier."""
    return await _tell(orders, order_id, CancelOrder(body.reason if body else None, *caller), response)


@router.post("/{order_id}/review", operation_id="reviewOrder", responses=MESSAGE)
async def review(order_id: OrderId, body: ReviewBody, orders: Orders, caller: Caller, response: Response) -> OrderView:
    """Decide on an order in review: let it go on, or end it."""
    message = ReviewOrder(body.decision == "approve", body.note, *caller)
    return await _tell(orders, order_id, message, response)


@router.post("/{order_id}/amend", operation_id="amendOrder", responses=MESSAGE)
async def amend(order_id: OrderId, body: AmendBody, orders: Orders, caller: Caller, response: Response) -> OrderView:
    """Answer a shortage: with smaller quantities, or by taking what there is."""
    message = AmendOrder(body.quantities(), *caller)
    return await _tell(orders, order_id, message, response)


@router.put("/{order_id}/shipping-address", operation_id="changeShippingAddress", responses=MESSAGE)
async def change_address(
    order_id: OrderId, body: AddressBody, orders: Orders, caller: Caller, response: Response
) -> OrderView:
    """Send the parcel elsewhere; refused once it is being handed to the carrier."""
    return await _tell(orders, order_id, ChangeAddress(body.address(), *caller), response)


@router.post("/{order_id}/payment/cancel", operation_id="cancelPayment", responses=MESSAGE)
async def cancel_payment(
    order_id: OrderId, orders: Orders, caller: Caller, response: Response, body: CancelBody | None = None
) -> OrderView:
    """Take no money, or give it back; the order then waits for another payment method."""
    return await _tell(orders, order_id, CancelPayment(body.reason if body else None, *caller), response)


@router.post("/{order_id}/payment/retry", operation_id="retryPayment", responses=MESSAGE)
async def retry_payment(
    order_id: OrderId, body: RetryPaymentBody, orders: Orders, caller: Caller, response: Response
) -> OrderView:
    """Offer another payment method to an order whose payment failed."""
    return await _tell(orders, order_id, RetryPayment(body.payment_method, *caller), response)


async def _tell(orders: OrderService, order_id: str, message: Message, response: Response) -> OrderView:
    told = await orders.tell(order_id, message)
    if not told.settled:
        response.status_code = status.HTTP_202_ACCEPTED
    return OrderView.of(told.order)
