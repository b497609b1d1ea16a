"""Messages to an order: change its mind."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response, status

from api.auth import Scope
from api.bodies import AddressBody, AmendBody, CancelBody, RetryPaymentBody, ReviewBody
from api.dependencies import OrderId, Orders, Sender, needs
from api.exact_json import ExactJsonRoute
from api.preconditions import TAGGED, etag
from api.problems import GUARDED, WITH_BODY, responses
from api.schemas import OrderView
from api.service import OrderService
from orders.contracts import (
    AmendOrder,
    CancelOrder,
    CancelPayment,
    ChangeAddress,
    Message,
    RetryPayment,
    ReviewOrder,
)

router = APIRouter(prefix="/orders", tags=["messages"], route_class=ExactJsonRoute)
MESSAGE: dict[int | str, dict[str, Any]] = {
    200: {"headers": TAGGED},
    202: {"model": OrderView, "description": "Accepted; the order still works on it", "headers": TAGGED},
    **responses(*GUARDED, *WITH_BODY, "not-found", "conflict", "stale", "idempotency-key-reused"),
}
CHANGE = [needs(Scope.WRITE, Scope.OPERATE)]
"""What a client may do with an order, an operator may do for it."""


@router.post("/{order_id}/cancel", operation_id="cancelOrder", dependencies=CHANGE, responses=MESSAGE)
async def cancel(
    order_id: OrderId, orders: Orders, sender: Sender, response: Response, body: CancelBody | None = None
) -> OrderView:
    """End an order and undo everything; refused once the parcel is being handed to the carrier."""
    return await _tell(orders, order_id, CancelOrder(body.reason if body else None, *sender), response)


@router.post("/{order_id}/review", operation_id="reviewOrder", dependencies=[needs(Scope.REVIEW)], responses=MESSAGE)
async def review(order_id: OrderId, body: ReviewBody, orders: Orders, sender: Sender, response: Response) -> OrderView:
    """Decide on an order in review: let it go on, or end it."""
    message = ReviewOrder(body.decision == "approve", body.note, *sender)
    return await _tell(orders, order_id, message, response)


@router.post("/{order_id}/amend", operation_id="amendOrder", dependencies=CHANGE, responses=MESSAGE)
async def amend(order_id: OrderId, body: AmendBody, orders: Orders, sender: Sender, response: Response) -> OrderView:
    """Answer a shortage: with smaller quantities, or by taking what there is."""
    message = AmendOrder(body.quantities(), *sender)
    return await _tell(orders, order_id, message, response)


@router.put(
    "/{order_id}/shipping-address", operation_id="changeShippingAddress", dependencies=CHANGE, responses=MESSAGE
)
async def change_address(
    order_id: OrderId, body: AddressBody, orders: Orders, sender: Sender, response: Response
) -> OrderView:
    """Send the parcel elsewhere; refused once it is being handed to the carrier."""
    return await _tell(orders, order_id, ChangeAddress(body.address(), *sender), response)


@router.post("/{order_id}/payment/cancel", operation_id="cancelPayment", dependencies=CHANGE, responses=MESSAGE)
async def cancel_payment(
    order_id: OrderId, orders: Orders, sender: Sender, response: Response, body: CancelBody | None = None
) -> OrderView:
    """Take no money, or give it back; the order then waits for another payment method."""
    return await _tell(orders, order_id, CancelPayment(body.reason if body else None, *sender), response)


@router.post("/{order_id}/payment/retry", operation_id="retryPayment", dependencies=CHANGE, responses=MESSAGE)
async def retry_payment(
    order_id: OrderId, body: RetryPaymentBody, orders: Orders, sender: Sender, response: Response
) -> OrderView:
    """Offer another payment method to an order whose payment failed."""
    return await _tell(orders, order_id, RetryPayment(body.payment_method, *sender), response)


async def _tell(orders: OrderService, order_id: str, message: Message, response: Response) -> OrderView:
    told = await orders.tell(order_id, message)
    response.headers["ETag"] = etag(told.order)
    if not told.settled:
        response.status_code = status.HTTP_202_ACCEPTED
    return OrderView.of(told.order)
