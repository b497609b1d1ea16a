"""JSON bodies of a bounded size whose numbers keep every digit: ``99.99`` becomes a decimal, never a float."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

from api.errors import UnsupportedMediaType


class _ExactRequest(Request):
    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            limit: int = self.app.state.max_body
            declared = self.headers.get("content-length", "")
            received = bytearray()
            if not (declared.isdecimal() and int(declared) > limit):
                async for chunk in self.stream():
                    received += chunk
                    if len(received) > limit:
                        break
                else:
                    self._body = bytes(received)
                    return self._body
            raise HTTPException(413, f"the body is larger than {limit} bytes")
        return self._body

    async def json(self) -> Any:
        body = await self.body()
        try:
            return json.loads(body.decode(), parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_object)
        except json.JSONDecodeError:
            raise
        except (UnicodeDecodeError, RecursionError, ValueError, ArithmeticError) as error:
            reason = (
                "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else "a number or its depth is too large"
            )
            raise json.JSONDecodeError(reason, "", 0) from error


class ExactJsonRoute(APIRoute):
    """A route that reads its JSON body exactly, and takes none that JSON readers could understand differently."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Hand the request over in its exact form."""
        handler = super().get_route_handler()
        takes_json = self.body_field is not None

        async def exact(request: Request) -> Response:
            if takes_json:
                _refuse_other_than_json(request)
            return await handler(_ExactRequest(request.scope, request.receive))

        return exact


def _refuse_other_than_json(request: Request) -> None:
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if has_body and not (kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))):
        found = f"{kind} is not understood" if kind else "the body has no type"
        raise UnsupportedMediaType(f"{found}: send it as Content-Type: application/json")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("the body is packed by Content-Encoding: send it as it is")


def _refuse(constant: str) -> Any:
    raise json.JSONDecodeError(f"{constant} is not JSON", constant, 0)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise json.JSONDecodeError("a name stands twice in an object", "", 0)
    return found
