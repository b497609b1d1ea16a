"""Which web pages may ask what, from a browser (the Fetch Standard, "CORS protocol")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import TRACE_HEADER
from api.tracing import own_path

SHOP: dict[str, Any] = {
    "allow_methods": ["GET", "POST", "PUT"],
    "allow_headers": [
        "Authorization",
        "Content-Type",
        "Idempotency-Key",
        "If-Match",
        "If-None-Match",
        "Last-Event-ID",
        "traceparent",
    ],
    "expose_headers": ["ETag", "Idempotent-Replayed", "Link", "Location", "Retry-After", TRACE_HEADER],
    "max_age": 600,
}
"""What a page of the shop may send, and read of the answer."""
TEMPORAL: dict[str, Any] = {
    "allow_methods": ["POST"],
    "allow_headers": ["Authorization", "Authorization-Extras", "Content-Type", "X-Namespace"],
    "max_age": 600,
}
"""What Temporal's web page sends to a codec endpoint (github.com/temporalio/ui, ``data-encoder.ts``)."""


class Pages:
    """Lets pages of the shop ask for orders, and Temporal's have decrypted what they show; neither the other's."""

    def __init__(self, app: ASGIApp, shop: Sequence[str], temporal: Sequence[str]) -> None:
        self._orders = CORSMiddleware(app, allow_origins=shop, **SHOP) if shop else app
        self._codec = CORSMiddleware(app, allow_origins=temporal, **TEMPORAL) if temporal else app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        is_codec = scope["type"] == "http" and own_path(scope).startswith("/codec/")
        await (self._codec if is_codec else self._orders)(scope, receive, send)
