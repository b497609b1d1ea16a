"""Whether a message from outside was signed by the one it says it is from, and not long ago."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Sequence
from datetime import timedelta

from pydantic import SecretStr

from orders.errors import Forged

_PART = re.compile(r"t=(?P<time>\d{1,12})|v1=(?P<signature>[0-9a-f]{64})", re.ASCII)


def verify(name: str, header: str | None, body: bytes, secrets: Sequence[SecretStr], tolerance: timedelta) -> None:
    """Let pass what one of the secrets has signed: HMAC-SHA256 (RFC 2104) over time, a dot, and the body.

    ``t=1767225600,v1=5257a8…`` is the form of Stripe's header; its own may have signatures by several keys, while one
    takes the place of another, and of other kinds (its manual, "Verify webhook signatures manually"). ``name``
    is what the header is called.

    Raises:
        Forged: it was not, or longer ago than ``tolerance`` (or as much in the future).
    """
    found = [match for part in (header or "").split(",") if (match := _PART.fullmatch(part.strip()))]
    times = [match["time"] for match in found if match["time"]]
    signatures = [match["signature"] for match in found if match["signature"]]
    if len(times) != 1 or not signatures:
        raise Forged(f"write {name}: t=SECONDS,v1=HEX")
    signed = times[0].encode() + b"." + body
    # Every secret is tried, and each comparison takes the same time, right or wrong.
    expected = [sign(signed, secret) for secret in secrets]
    matches = [hmac.compare_digest(each, given) for each in expected for given in signatures]
    if not any(matches):
        raise Forged("the signature does not match")
    if abs(time.time() - int(times[0])) > tolerance.total_seconds():
        raise Forged("it was signed too long ago, or your clock is wrong")


def sign(signed: bytes, secret: SecretStr) -> str:
    """Give the signature in hexadecimal digits."""
    return hmac.new(secret.get_secret_value().encode(), signed, hashlib.sha256).hexdigest()
