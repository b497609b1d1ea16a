"""What a caller may ask of a request: that it is done once, and only to the order that they have seen.

``Idempotency-Key`` is that of the IETF's draft (draft-ietf-httpapi-idempotency-key-header), ``ETag``, ``If-Match`` and
``If-None-Match`` are those of RFC 9110, sections 8.8.3, 13.1.1 and 13.1.2.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Header, Request
from fastapi.exceptions import RequestValidationError

from orders.order import Order

_TAG = '(W/)?"[!#-~]*"'
_TAGS = re.compile(rf"\*|{_TAG}([ \t]*,[ \t]*{_TAG})*")
_OURS = re.compile(r'(?P<weak>W/)?"(?P<version>[1-9]\d{0,9})"', re.ASCII)

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern="^[ -~]{1,255}$",
        description="names the request: sent again with the same key it is not done again. 1 to 255 printable "
        "characters, such as a UUID",
        examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
    ),
]
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", description="do it only if the order is as it was with this `ETag`", examples=['"7"']),
]
IfNoneMatch = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        description="answer only if the order is not as it was with this `ETag`",
        examples=['"7"'],
    ),
]
TAGGED: dict[str, Any] = {
    "ETag": {"description": "the order's version", "required": True, "schema": {"type": "string", "examples": ['"7"']}}
}
"""The header of every answer with an order, for the OpenAPI document."""


def key_of(request: Request) -> str | None:
    """Give the key of a request, as it is written.

    Raises:
        RequestValidationError: there are several.
    """
    keys = request.headers.getlist("Idempotency-Key")
    if len(keys) > 1:
        problem = {"type": "value_error", "loc": ("header", "Idempotency-Key"), "msg": "a request has one key"}
        raise RequestValidationError([problem])
    return keys[0] if keys else None


def listed(request: Request, name: str) -> str | None:
    """Give a header that is a list, however many lines it has (RFC 9110, section 5.3)."""
    return ", ".join(request.headers.getlist(name)) or None


def etag(order: Order) -> str:
    """Give an order's entity tag: its version."""
    return f'"{order.version}"'


def versions_of(if_match: str | None) -> tuple[int, ...] | None:
    """Give the versions that ``If-Match`` names; None is any. What is weak, not ours, or no tag at all matches none."""
    if if_match is None or if_match == "*":
        return None
    if not _TAGS.fullmatch(if_match):
        return ()
    return tuple(int(found["version"]) for found in _OURS.finditer(if_match) if not found["weak"])


def is_known(order: Order, if_none_match: str | None) -> bool:
    """Whether the caller has the order as it is; what is no tag says nothing."""
    if if_none_match is None or not _TAGS.fullmatch(if_none_match):
        return False
    return if_none_match == "*" or order.version in [int(tag["version"]) for tag in _OURS.finditer(if_none_match)]
