"""Errors as problem details (RFC 9457): every kind there is, and how one looks on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic.json_schema import models_json_schema

from api.schemas import FieldProblem, Problem

MEDIA_TYPE = "application/problem+json"
URN = "urn:order-lifecycle:problem:"
TRACE_HEADER = "Trace-Id"
RETRY_AFTER = {"Retry-After": "2"}


class Kind(NamedTuple):
    """One kind of problem: its status, and what it is in a few words."""

    status: int
    title: str


KINDS: Mapping[str, Kind] = {
    "malformed": Kind(400, "Malformed body"),
    "unauthenticated": Kind(401, "Not authenticated"),
    "forbidden": Kind(403, "Not allowed"),
    "forged": Kind(403, "Not signed"),
    "not-found": Kind(404, "Not found"),
    "method-not-allowed": Kind(405, "Method not allowed"),
    "conflict": Kind(409, "Refused"),
    "stale": Kind(412, "Changed meanwhile"),
    "too-large": Kind(413, "Body too large"),
    "unsupported-media-type": Kind(415, "Not JSON"),
    "validation": Kind(422, "Invalid request"),
    "idempotency-key-reused": Kind(422, "Idempotency key reused"),
    "headers-too-large": Kind(431, "Headers too large"),
    "internal": Kind(500, "Internal error"),
    "overloaded": Kind(503, "Overloaded"),
    "unavailable": Kind(503, "Unavailable"),
    "timeout": Kind(504, "Timed out"),
}
"""Each is ``urn:order-lifecycle:problem:`` and its name here, and is documented in ``docs/api.md``."""
_BY_STATUS = {400: "malformed", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}


def problem(
    request: Request,
    kind: str,
    detail: str,
    errors: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Answer with a problem of this kind."""
    return _answer(request, f"{URN}{kind}", KINDS[kind], detail, errors, headers)


def problem_of_status(
    request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Answer with the problem that an HTTP status stands for, be it one without a name here."""
    if kind := _BY_STATUS.get(status):
        return problem(request, kind, detail, headers=headers)
    return _answer(request, "about:blank", Kind(status, HTTPStatus(status).phrase), detail, (), headers)


def _answer(
    request: Request,
    type_: str,
    kind: Kind,
    detail: str,
    errors: Sequence[FieldProblem],
    headers: Mapping[str, str] | None,
) -> JSONResponse:
    trace_id = getattr(request.state, "trace_id", None)
    body = Problem(
        type=type_, title=kind.title, status=kind.status, detail=detail, errors=list(errors) or None, trace_id=trace_id
    )
    named = {TRACE_HEADER: trace_id} if trace_id else {}
    return JSONResponse(
        body.model_dump(exclude_none=True), kind.status, media_type=MEDIA_TYPE, headers={**named, **(headers or {})}
    )


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe these problems, and those that every request may meet, in the OpenAPI document."""
    statuses = tuple(sorted({*statuses, 431, 500, 503, 504}))
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
