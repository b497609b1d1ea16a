"""Errors as problem details (RFC 9457): every kind there is, and how one looks on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import Request
from fastapi.responses import JSONResponse

from api.schemas import FieldProblem, Problem

MEDIA_TYPE = "application/problem+json"
URN = "urn:order-lifecycle:problem:"
TRACE_HEADER = "Trace-Id"
RETRY_AFTER = {"Retry-After": "2"}


class Kind(NamedTuple):
    """One kind of problem: its status, what it is in a few words, and a detail as an example."""

    status: int
    title: str
    example: str = ""


KINDS: Mapping[str, Kind] = {
    "malformed": Kind(400, "Malformed body", "the body is not JSON: Expecting value"),
    "unauthenticated": Kind(401, "Not authenticated", "the token has expired"),
    "forbidden": Kind(403, "Not allowed", "this needs the scope orders:review"),
    "forged": Kind(403, "Not signed", "the signature does not match"),
    "not-found": Kind(404, "Not found", "there is no order ord_5f0c3d9a2b7e4f6a8c1d0e2f"),
    "method-not-allowed": Kind(405, "Method not allowed", "use GET, HEAD, POST"),
    "not-acceptable": Kind(
        406,
        "No stream here",
        "there are no streams behind this gateway: wait for events by Accept: application/json and ?wait=25",
    ),
    "conflict": Kind(409, "Refused", "the order is shipped: it can't be cancelled any more"),
    "stale": Kind(
        412, "Changed meanwhile", 'the order is not as you saw it: look at it again, then write If-Match: "8"'
    ),
    "too-large": Kind(413, "Body too large", "the body is larger than 262144 bytes"),
    "unsupported-media-type": Kind(415, "Not JSON", "send it as Content-Type: application/json"),
    "validation": Kind(422, "Invalid request", "#/items/0/qty: Input should be greater than or equal to 1"),
    "idempotency-key-reused": Kind(422, "Idempotency key reused", "the key came with another message to this order"),
    "headers-too-large": Kind(431, "Headers too large", "the headers have 20000 bytes, of 16384 at most"),
    "internal": Kind(500, "Internal error", "it has been logged under the trace id"),
    "overloaded": Kind(503, "Overloaded", "too many requests wait for PostgreSQL; try again"),
    "unavailable": Kind(503, "Unavailable", "PostgreSQL can't be reached now; try again"),
    "timeout": Kind(
        504,
        "Timed out",
        "PostgreSQL gave no answer in time; try again",
    ),
}
"""Each is ``urn:order-lifecycle:problem:`` and its name here, and is documented in ``docs/api.md``."""
GUARDED = ("unauthenticated", "forbidden")
"""What those may meet who need a token."""
WITH_BODY = ("malformed", "too-large", "unsupported-media-type", "validation")
"""What those may meet who send a body."""
ALWAYS = ("headers-too-large", "internal", "overloaded", "unavailable", "timeout")
"""What anybody may meet."""
_HEADERS: dict[str, Any] = {
    "Retry-After": {"description": "when to come again, in seconds", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "what a token must have (RFC 6750)", "schema": {"type": "string"}},
}
_SENT_WITH = {"Retry-After": {503}, "WWW-Authenticate": {401, 403}}
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


def responses(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """Describe these problems, and those that every request may meet, in the OpenAPI document."""
    by_status: dict[int, list[str]] = {}
    for name in (*kinds, *ALWAYS):
        by_status.setdefault(KINDS[name].status, []).append(name)
    return {status: _described(names) for status, names in sorted(by_status.items())}


def _described(names: list[str]) -> dict[str, Any]:
    status = KINDS[names[0]].status
    schema = {"$ref": "#/components/schemas/Problem"}
    examples = {name: {"value": _example(name, *KINDS[name])} for name in names}
    headers = {name: _HEADERS[name] for name in _HEADERS if status in _SENT_WITH[name]}
    return {
        "description": " · ".join(KINDS[name].title for name in names),
        "content": {MEDIA_TYPE: {"schema": schema, "examples": examples}},
        **({"headers": headers} if headers else {}),
    }


def _example(name: str, status: int, title: str, detail: str) -> dict[str, Any]:
    return {"type": f"{URN}{name}", "title": title, "status": status, "detail": detail}
