"""Whether a message from outside was signed by the one it says it is from, and not long ago."""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import time
from collections.abc import Sequence
from datetime import timedelta

from pydantic import SecretStr

from orders.errors import Forged

HEADER = re.compile(r"t=(?P<time>\d{1,12}),v1=(?P<signature>[0-9a-f]{64})", re.ASCII)
"""``Webhook-Signature: t=1767225600,v1=5257a8…``, in the form of Stripe's header (its manual, "Webhook signatures")."""


def verify(body: bytes, header: str | None, secrets: Sequence[SecretStr], tolerance: timedelta) -> None:
    """Let pass what one of the secrets has signed: HMAC-SHA256 (RFC 2104) over time, a dot, and the body.

    Raises:
        Forged: it was not, or longer ago than ``tolerance`` (or as much in the future).
    """
    found = HEADER.fullmatch(header or "")
    if not found:
        raise Forged("write Webhook-Signature: t=SECONDS,v1=HEX")
    signed = found["time"].encode() + b"." + body
    # Every secret is tried, and each comparison takes the same time, right or wrong.
    matches = [hmac.compare_digest(sign(signed, secret), found["signature"]) for secret in secrets]
    if not any(matches):
        raise Forged("the signature does not match")
    if abs(time.time() - int(found["time"])) > tolerance.total_seconds():
        raise Forged("it was signed too long ago, or your clock is wrong")


def sign(signed: bytes, secret: SecretStr) -> str:
    """Give the signature in hexadecimal digits."""
    return hmac.new(secret.get_secret_value().encode(), signed, hashlib.sha256).hexdigest()


def verify_stripe(body: bytes, header: str | None, secrets: Sequence[SecretStr], tolerance: timedelta) -> None:
    """Do the same with Stripe's own code, for what Stripe has signed.

    Raises:
        Forged: Stripe has not signed it, or too long ago.
    """
    from stripe import SignatureVerificationError, WebhookSignature  # noqa: PLC0415 - loaded where it is used

    # Stripe's code takes no other letters, and knows no parts of seconds.
    header = header if header and header.isascii() else ""
    seconds = math.ceil(tolerance.total_seconds())
    for secret in secrets:
        try:
            WebhookSignature.verify_header(body.decode(), header, secret.get_secret_value(), seconds)
        except (SignatureVerificationError, UnicodeDecodeError):
            continue
        return
    raise Forged("Stripe has not signed this, or too long ago")
