"""What AWS's gateways tell a client of what a function has returned, as their manuals have it (see ``events``)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

LARGEST = 6 * 1024 * 1024
"""How much a function may return, in bytes, and how much of that a load balancer takes ("Lambda quotas")."""
LARGEST_AT_BALANCER = 1024 * 1024
_FORMAT_1 = frozenset({"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"})


class Malformed(Exception):
    """A function must not return that: the client gets a 502."""


class Answer(NamedTuple):
    """What a client gets."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def answer_to_format_1(returned: Any, *, is_binary: bool, is_strict: bool = False) -> Answer:
    """Read it as API Gateway does in format 1.0.

    Args:
        returned: what the function has returned.
        is_binary: base64 is undone; otherwise the client gets it as it is.
        is_strict: nothing may be said besides what has a meaning.
    """
    _check(returned)
    if is_strict and (unknown := set(returned) - _FORMAT_1):
        raise Malformed(f"{min(unknown)} is not known in format 1.0")
    several = _several(returned)
    # Where both say something of a header, what can be several counts.
    single = [(name, value) for name, value in _single(returned) if name.lower() not in {n.lower() for n, _ in several}]
    return Answer(_status(returned), single + several, _body(returned, is_decoded=is_binary))


def answer_to_format_2(returned: Any) -> Answer:
    """Read it as API Gateway does in format 2.0, and as function URLs are answered."""
    if not isinstance(returned, dict) or "statusCode" not in returned:
        return Answer(200, [("content-type", "application/json")], json.dumps(returned).encode())
    _check(returned)
    cookies = returned.get("cookies") or []
    if not isinstance(cookies, list) or not all(isinstance(cookie, str) for cookie in cookies):
        raise Malformed("cookies is no list of text")
    headers = list(_single(returned))
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("content-type", "application/json"))
    return Answer(_status(returned), [*headers, *(("set-cookie", cookie) for cookie in cookies)], _body(returned))


def answer_to_balancer(returned: Any, *, is_multi_value: bool) -> Answer:
    """Read it as a load balancer does: it wants headers in the form in which it gives them."""
    _check(returned, LARGEST_AT_BALANCER)
    right, wrong = "multiValueHeaders", "headers"
    if not is_multi_value:
        right, wrong = wrong, right
    if returned.get(wrong) or right not in returned:
        raise Malformed(f"headers must stand in {right}")
    if not isinstance(returned["statusCode"], int):
        raise Malformed("statusCode is no number")
    headers = _several(returned) if is_multi_value else list(_single(returned))
    return Answer(_status(returned), headers, _body(returned))


def _check(returned: Any, largest: int = LARGEST) -> None:
    if not isinstance(returned, dict):
        raise Malformed("what was returned is no object")
    if len(json.dumps(returned)) > largest:
        raise Malformed(f"what was returned has more than {largest} bytes")


def _status(returned: dict[str, Any]) -> int:
    try:
        status = int(returned["statusCode"])
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed("statusCode is missing, or no number") from error
    if not 100 <= status <= 599:
        raise Malformed(f"statusCode {status} is none of HTTP's")
    return status


def _single(returned: dict[str, Any]) -> Iterator[tuple[str, str]]:
    headers = returned.get("headers") or {}
    if not isinstance(headers, dict):
        raise Malformed("headers is no object")
    for name, value in headers.items():
        if not isinstance(value, str | int | float):
            raise Malformed(f"the header {name} is neither text, number nor boolean")
        yield name, str(value).lower() if isinstance(value, bool) else str(value)


def _several(returned: dict[str, Any]) -> list[tuple[str, str]]:
    headers = returned.get("multiValueHeaders") or {}
    if not isinstance(headers, dict) or not all(isinstance(values, list) for values in headers.values()):
        raise Malformed("multiValueHeaders is no object of lists")
    return [(name, str(value)) for name, values in headers.items() for value in values]


def _body(returned: dict[str, Any], *, is_decoded: bool = True) -> bytes:
    body = returned.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise Malformed("body is no text")
    if not isinstance(returned.get("isBase64Encoded", False), bool):
        raise Malformed("isBase64Encoded is no boolean")
    if not (returned.get("isBase64Encoded") and is_decoded):
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise Malformed("body is no base64") from error
