"""Temporal's web page and command line ask here for what they show: a codec endpoint, as Temporal calls it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from fastapi.exceptions import RequestValidationError
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from api.auth import Scope
from api.dependencies import Services, needs, services
from api.exact_json import ExactJsonRoute
from api.payloads import PayloadsBody
from api.problems import GUARDED, WITH_BODY, responses
from orders.errors import Undecipherable

router = APIRouter(
    prefix="/codec",
    tags=["codec"],
    route_class=ExactJsonRoute,
    dependencies=[needs(Scope.OPERATE)],
    responses=responses(*GUARDED, *WITH_BODY, "not-found"),
)


async def codec(services: Annotated[Services, Depends(services)]) -> PayloadCodec:
    """Give a route what encrypts and decrypts.

    Raises:
        HTTPException: nothing is encrypted here.
    """
    found = services.client.data_converter.payload_codec
    if found is None:
        raise HTTPException(404, "nothing is encrypted here: ENCRYPTION_KEYS is not set")
    return found


@router.post("/decode", operation_id="decodePayloads")
async def decode(body: PayloadsBody, codec: Annotated[PayloadCodec, Depends(codec)]) -> PayloadsBody:
    """Decrypt what Temporal stores; what is not encrypted stays as it is."""
    return PayloadsBody.of([await _decoded(codec, *each) for each in enumerate(body.found())])


@router.post("/encode", operation_id="encodePayloads")
async def encode(body: PayloadsBody, codec: Annotated[PayloadCodec, Depends(codec)]) -> PayloadsBody:
    """Encrypt what shall be given to Temporal by hand."""
    return PayloadsBody.of(await codec.encode(body.found()))


async def _decoded(codec: PayloadCodec, number: int, payload: Payload) -> Payload:
    try:
        return (await codec.decode([payload]))[0]
    except Undecipherable as error:
        problem = {"type": "value_error", "loc": ("body", "payloads", number), "msg": str(error)}
        raise RequestValidationError([problem]) from error
