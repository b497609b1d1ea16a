"""Errors as problem details (RFC 9457). Each kind's ``type`` is stable and documented in ``docs/api.md``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

from api.auth import Forbidden, IssuerUnavailable, Unauthenticated
from api.schemas import FieldProblem, Problem
from orders.errors import DependencyUnavailable, Forged, OrderError, Refused

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = "2"
logger = logging.getLogger(__name__)


class UnknownOrder(OrderError):
    """There is no such order, or no such parcel of one."""

    def __init__(self, order_id: str, what: str = "order") -> None:
        super().__init__(f"there is no {what} {order_id[:80]}")


def problem(
    kind: str,
    status: int,
    detail: str,
    errors: list[FieldProblem] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Answer with a problem of this kind."""
    body = Problem(
        type=f"urn:order-lifecycle:problem:{kind}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        errors=errors,
    )
    return JSONResponse(body.model_dump(exclude_none=True), status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe these problems in the OpenAPI document."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def describe_problems(app: FastAPI) -> None:
    """Put the shape of a problem into the OpenAPI document, in place of FastAPI's own error."""
    without = app.openapi

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            schemas = without()["components"]["schemas"]
            _, problems = models_json_schema([(Problem, "serialization")], ref_template="#/components/schemas/{model}")
            schemas |= problems["$defs"]
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
        assert app.openapi_schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error with a problem, and none with a stack trace."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(UnknownOrder, _unknown)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(Forged, _forged)
    app.add_exception_handler(Unauthenticated, _unauthenticated)
    app.add_exception_handler(Forbidden, _forbidden)
    app.add_exception_handler(IssuerUnavailable, _issuer_unavailable)
    app.add_exception_handler(DependencyUnavailable, _unavailable)
    app.add_exception_handler(Exception, _unexpected)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if malformed := [each for each in found if each["type"] == "json_invalid"]:
        return problem("malformed", 400, f"the body is not JSON: {malformed[0]['ctx']['error']}")
    fields = [FieldProblem(pointer=_pointer(each["loc"]), detail=each["msg"]) for each in found]
    first = fields[0]
    more = f" (and {len(fields) - 1} more)" if fields[1:] else ""
    return problem("validation", 422, f"{first.pointer}: {first.detail}{more}", fields)


def _pointer(where: tuple[str | int, ...]) -> str:
    source, *path = where
    steps = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return f"#{steps}" if source == "body" else f"{source}{steps}"


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    kinds = {400: "malformed", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}
    return problem(kinds.get(error.status_code, "http"), error.status_code, str(error.detail), headers=error.headers)


def _unknown(request: Request, error: Exception) -> JSONResponse:
    return problem("not-found", 404, str(error))


def _refused(request: Request, error: Exception) -> JSONResponse:
    return problem("conflict", 409, str(error))


def _forged(request: Request, error: Exception) -> JSONResponse:
    # Not in an order's trail: who can't sign must not be able to write there.
    logger.warning("%s %s was refused: %s", request.method, request.url.path, error)
    return problem("forged", 403, str(error))


def _unauthenticated(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Unauthenticated)
    return problem("unauthenticated", 401, str(error), headers={"WWW-Authenticate": error.challenge})


def _forbidden(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Forbidden)
    return problem("forbidden", 403, str(error), headers={"WWW-Authenticate": error.challenge})


def _issuer_unavailable(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, IssuerUnavailable)
    detail = f"{error.name} can't be reached now, so nothing was done; try again"
    return problem("unavailable", 503, detail, headers={"Retry-After": RETRY_AFTER})


def _unavailable(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DependencyUnavailable)
    logger.warning("%s %s: %s", request.method, request.url.path, error)
    detail = f"{error.name} can't be reached now, try again"
    if request.method != "GET":
        detail = f"{error.name} gave no answer; look whether it was done before you try again"
    return problem("unavailable", 503, detail, headers={"Retry-After": RETRY_AFTER})


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem("internal", 500, "something went wrong here; it has been logged")
