"""What Schemathesis can't know of values that are valid by their form: a client's keys are new, a cursor was given."""

from __future__ import annotations

import os
import re
import secrets
from typing import Any

import schemathesis


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Make each key one that was not used before, and each cursor one of the service's own."""
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and re.fullmatch("[ -~]{1,255}", key):
        case.headers["Idempotency-Key"] = key[:-16] + secrets.token_hex(8)
    cursor = (case.query or {}).get("cursor")
    if isinstance(cursor, str) and re.fullmatch("[A-Za-z0-9_.-]+", cursor):
        case.query["cursor"] = os.environ["CURSOR"]
