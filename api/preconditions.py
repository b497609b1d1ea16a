"""What a caller may ask of a request: that it is done once, and only to the order that they have seen.

``Idempotency-Key`` is that of the IETF's draft (draft-ietf-httpapi-idempotency-key-header), ``ETag``, ``If-Match`` and
``If-None-Match`` are those of RFC 9110, sections 8.8.3, 13.1.1 and 13.1.2.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Header

from orders.order import Order

_TAG = r'(W/)?"[\x21\x23-\x7e]*"'
_TAGS = rf"^(\*|{_TAG}( ?, ?{_TAG})*)$"
_OURS = re.compile(r'(?P<weak>W/)?"(?P<version>[1-9]\d{0,9})"', re.ASCII)

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x20-\x7e]+$",
        description="names the request: sent again with the same key it is not done again. 1 to 255 printable "
        "characters, such as a UUID",
        examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
    ),
]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=1000,
        pattern=_TAGS,
        description="do it only if the order is as it was with this `ETag`",
        examples=['"7"'],
    ),
]
IfNoneMatch = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        max_length=1000,
        pattern=_TAGS,
        description="answer only if the order is not as it was with this `ETag`",
        examples=['"7"'],
    ),
]


def unquoted(key: str | None) -> str | None:
    """Give an idempotency key without the quotes in which the draft has it, and most clients don't."""
    return key[1:-1] if key and len(key) > 2 and key[0] == key[-1] == '"' else key  # noqa: PLR2004


def etag(order: Order) -> str:
    """Give an order's entity tag: its version."""
    return f'"{order.version}"'


def versions_of(if_match: str | None) -> tuple[int, ...] | None:
    """Give the versions that ``If-Match`` names; None is any. A tag that is weak, or not ours, matches none."""
    if if_match is None or if_match == "*":
        return None
    return tuple(int(found["version"]) for found in _OURS.finditer(if_match) if not found["weak"])


def is_known(order: Order, if_none_match: str | None) -> bool:
    """Whether the caller has the order as it is."""
    if if_none_match is None or if_none_match == "*":
        return if_none_match == "*"
    return order.version in [int(found["version"]) for found in _OURS.finditer(if_none_match)]
