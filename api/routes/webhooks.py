"""What partners tell by themselves: signed, and harmless when it comes twice."""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Header, HTTPException, Request, status
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from api.bodies import CarrierEventBody, StripeEventBody
from api.dependencies import Orders, TraceId, Webhooks
from api.errors import UnknownOrder
from api.exact_json import ExactJsonRoute
from api.problems import responses
from api.schemas import Heard
from api.service import ORDER_ID
from api.signatures import verify
from orders.model import CARRIER, Origin

Parsed = TypeVar("Parsed", bound=BaseModel)
router = APIRouter(prefix="/webhooks", tags=["webhooks"], route_class=ExactJsonRoute)
RESPONSES = responses("malformed", "forged", "not-found", "conflict", "too-large", "validation")


def _body_of(model: type[BaseModel]) -> dict[str, Any]:
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


@router.post(
    "/carrier",
    operation_id="hearCarrier",
    status_code=status.HTTP_200_OK,
    responses=RESPONSES,
    openapi_extra=_body_of(CarrierEventBody),
)
async def carrier(
    request: Request,
    orders: Orders,
    webhooks: Webhooks,
    trace_id: TraceId,
    signature: Annotated[str | None, Header(alias="Webhook-Signature", description="`t=SECONDS,v1=HEX`")] = None,
) -> Heard:
    """Hear from a carrier where a parcel is; the same event may come twice, late, and in any order."""
    if not webhooks.carrier_secrets:
        raise HTTPException(404, "carriers are not heard here: CARRIER_WEBHOOK_SECRETS is not set")
    raw = await request.body()
    verify("Webhook-Signature", signature, raw, webhooks.carrier_secrets, webhooks.tolerance)
    body = _parse(CarrierEventBody, await _json(request))
    if not ORDER_ID.fullmatch(body.shipment.rpartition(":")[0]):
        raise UnknownOrder(body.shipment)
    reason = await orders.hear_carrier(body.shipment, body.event(trace_id), Origin(CARRIER, trace_id))
    return Heard(accepted=reason is None, reason=reason)


@router.post(
    "/payments",
    operation_id="hearPaymentProvider",
    status_code=status.HTTP_200_OK,
    responses=RESPONSES,
    openapi_extra=_body_of(StripeEventBody),
)
async def payments(
    request: Request,
    orders: Orders,
    webhooks: Webhooks,
    trace_id: TraceId,
    signature: Annotated[str | None, Header(alias="Stripe-Signature")] = None,
) -> Heard:
    """Hear from Stripe what became of money: put on the order's record, and marked as stuck where it needs somebody."""
    if not webhooks.stripe_secrets:
        raise HTTPException(404, "payment providers are not heard here: STRIPE_WEBHOOK_SECRETS is not set")
    raw = await request.body()
    verify("Stripe-Signature", signature, raw, webhooks.stripe_secrets, webhooks.tolerance)
    body = _parse(StripeEventBody, await _json(request))
    order_id = body.order_id or (await orders.paid_by(body.payment) if body.payment else None)
    if order_id is None or not ORDER_ID.fullmatch(order_id):
        return Heard(accepted=False, reason="it is of no order of ours")
    try:
        reason = await orders.hear_provider(order_id, body.notice(trace_id))
    except UnknownOrder as error:
        # To come again would not help.
        return Heard(accepted=False, reason=str(error))
    return Heard(accepted=reason is None, reason=reason)


async def _json(request: Request) -> Any:
    try:
        return await request.json()
    except json.JSONDecodeError as error:
        problem = {"type": "json_invalid", "loc": ("body",), "msg": error.msg, "ctx": {"error": error.msg}}
        raise RequestValidationError([problem]) from error


def _parse(model: type[Parsed], found: Any) -> Parsed:
    try:
        return model.model_validate(found)
    except ValidationError as error:
        problems = [{**problem, "loc": ("body", *problem["loc"])} for problem in error.errors()]
        raise RequestValidationError(problems) from error
