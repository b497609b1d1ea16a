"""Which problem answers which error. None has a stack trace, a statement or a name of a host in it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from opentelemetry.trace import get_current_span
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from api.auth import Forbidden, IssuerUnavailable, Unauthenticated
from api.problems import RETRY_AFTER, problem, problem_of_status
from api.schemas import FieldProblem
from api.tracing import own_path, path_of
from orders import deadline
from orders.errors import DependencyUnavailable, Forged, OrderError, Overloaded, Refused
from orders.telemetry.failures import record

logger = logging.getLogger(__name__)
MOST_NAMED = 100
"""How many places that are wrong a problem names; a body can have one in every other byte."""


class UnknownOrder(OrderError):
    """There is no such order, or no such parcel of one."""

    def __init__(self, order_id: str, what: str = "order") -> None:
        super().__init__(f"there is no {what} {order_id[:80]}")


class Stale(OrderError):
    """The order is in none of the versions that the caller's ``If-Match`` names, or is just being changed from one."""

    def __init__(self, version: int) -> None:
        super().__init__(f'the order is not as you saw it: look at it again, then write If-Match: "{version}"')


class KeyReused(OrderError):
    """The caller's ``Idempotency-Key`` belongs to another request of theirs."""


class UnsupportedMediaType(OrderError):
    """The body is not said to be JSON."""


PROBLEMS: dict[type[OrderError], str] = {
    UnknownOrder: "not-found",
    Refused: "conflict",
    Stale: "stale",
    KeyReused: "idempotency-key-reused",
    UnsupportedMediaType: "unsupported-media-type",
}
"""The errors whose text is the answer."""


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error with a problem."""
    for error, kind in PROBLEMS.items():
        app.add_exception_handler(error, _told(kind))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Forged, _forged)
    app.add_exception_handler(Overloaded, _overloaded)
    app.add_exception_handler(Unauthenticated, _unauthenticated)
    app.add_exception_handler(Forbidden, _forbidden)
    app.add_exception_handler(IssuerUnavailable, _issuer_unavailable)
    app.add_exception_handler(DependencyUnavailable, _unavailable)


def _told(kind: str) -> Callable[[Request, Exception], Awaitable[JSONResponse]]:
    async def told(request: Request, error: Exception) -> JSONResponse:
        return problem(request, kind, str(error))

    return told


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if malformed := [each for each in found if each["type"] == "json_invalid"]:
        return problem(request, "malformed", f"the body is not JSON: {malformed[0]['ctx']['error']}")
    fields = [_field(each["loc"], each["msg"]) for each in found[:MOST_NAMED]]
    first = fields[0]
    more = f" (and {len(found) - 1} more)" if found[1:] else ""
    where = first.pointer or first.parameter or first.header
    return problem(request, "validation", f"{where}: {first.detail}{more}", fields)


def _field(where: tuple[str | int, ...], detail: str) -> FieldProblem:
    source, *path = where
    if source == "body":
        # What pydantic says of a name in an object stands at the name itself.
        named = [str(step).replace("~", "~0").replace("/", "~1") for step in path if step != "[key]"]
        steps = "".join(f"/{step}" for step in named)
        return FieldProblem(pointer=f"#{steps}", detail=detail)
    name = str(path[0]) if path else ""
    return (
        FieldProblem(header=name, detail=detail) if source == "header" else FieldProblem(parameter=name, detail=detail)
    )


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == status.HTTP_405_METHOD_NOT_ALLOWED:
        allowed = ", ".join(sorted(_methods(request)))
        return problem(request, "method-not-allowed", f"use {allowed}", headers={"Allow": allowed})
    return problem_of_status(request, error.status_code, str(error.detail), error.headers)


def _methods(request: Request) -> set[str]:
    # Starlette names those of one route; a path may have several, and all are wanted (RFC 9110, section 15.5.6).
    path = request.url.path.removeprefix(request.scope.get("root_path", ""))
    routes = [each for each in iter_route_contexts(request.app.routes) if each.path and each.methods]
    found = {method for each in routes if compile_path(str(each.path))[0].match(path) for method in each.methods or ()}
    return found | {"HEAD"} if "GET" in found else found


async def _forged(request: Request, error: Exception) -> JSONResponse:
    # Not in an order's trail: who can't sign must not be able to write there.
    logger.warning("%s %s was refused: %s", request.method, own_path(request.scope), error)
    return problem(request, "forged", str(error))


async def _overloaded(request: Request, error: Exception) -> JSONResponse:
    logger.warning("%s %s: %s", request.method, own_path(request.scope), error)
    return problem(request, "overloaded", f"{error}; {_what_now(request)}", headers=RETRY_AFTER)


async def _unauthenticated(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Unauthenticated)
    return problem(request, "unauthenticated", str(error), headers={"WWW-Authenticate": error.challenge})


async def _forbidden(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Forbidden)
    return problem(request, "forbidden", str(error), headers={"WWW-Authenticate": error.challenge})


async def _issuer_unavailable(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, IssuerUnavailable)
    detail = f"{error.name} can't be reached now, so nothing was done; try again"
    return problem(request, "unavailable", detail, headers=RETRY_AFTER)


async def _unavailable(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DependencyUnavailable)
    logger.warning("%s %s: %s", request.method, own_path(request.scope), error)
    if deadline.is_over():
        return problem(request, "timeout", f"{error.name} gave no answer in time; {_what_now(request)}")
    detail = f"{error.name} can't be reached now; {_what_now(request)}"
    return problem(request, "unavailable", detail, headers=RETRY_AFTER)


def _what_now(request: Request) -> str:
    if request.method == "GET":
        return "try again"
    return "look whether it was done, or send it again with the same Idempotency-Key"


def unexpected(request: Request, error: Exception) -> JSONResponse:
    """Answer an error that nobody has thought of."""
    logger.error("%s %s failed", request.method, path_of(request.scope), exc_info=error)
    record(error, get_current_span())
    return problem(request, "internal", "it has been logged under the trace id")
