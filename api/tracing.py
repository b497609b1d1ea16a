"""A server span of each request, and how long they take: FastAPI makes both itself."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

from fastapi.telemetry import TelemetryConfig
from opentelemetry.trace import Span

from orders.telemetry import Telemetry

PROBES = frozenset({"/healthz", "/readyz"})
HIDDEN = "REDACTED"
_ORDER = re.compile(r"ord_[0-9a-f]{24}", re.ASCII)
_OURS = re.compile(rf"[a-z_-]{{0,24}}(\.[a-z]{{2,5}})?|{_ORDER.pattern}", re.ASCII)


def of_requests(telemetry: Telemetry) -> TelemetryConfig:
    """Say what FastAPI is to tell of requests, by the template of their route, and to whom; of probes nothing."""
    tracing, metrics = telemetry.tracing, telemetry.metrics
    return {
        "tracing": tracing is not None,
        "tracer_provider": tracing.provider if tracing else None,
        "metrics": metrics is not None,
        "meter_provider": metrics.provider if metrics else None,
        # A request that is refused is in our own log, without what it says.
        "logs": False,
        # One span a request: resolving what a route depends on has none of its own.
        "operation_spans": False,
        "auto_configure": False,
        "exclude": _is_probe,
    }


def without_values(span: Span, scope: MutableMapping[str, Any]) -> None:
    """Keep of an address what it has of our own: who looks for the orders of a customer says their email.

    OpenTelemetry has such values replaced by ``REDACTED`` (Semantic conventions, "Attributes: URL").
    """
    span.set_attribute("url.path", path_of(scope))
    if query := scope.get("query_string"):
        names = (part.partition("=")[0] for part in query.decode("latin-1").split("&"))
        span.set_attribute("url.query", "&".join(f"{_ours(name)}={HIDDEN}" for name in names))


def path_of(scope: MutableMapping[str, Any]) -> str:
    """Give the path of a request without what is neither of ours, a word in lower case, nor an order's id."""
    return "/".join(map(_ours, own_path(scope).split("/")))


def own_path(scope: MutableMapping[str, Any]) -> str:
    """Give the path of a request as the routes have it, without what addresses have before it (ASGI, ``root_path``)."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def order_in(scope: MutableMapping[str, Any]) -> str | None:
    """Give the id of the order that the path names, if it can be one."""
    found = _ORDER.search(own_path(scope))
    return found[0] if found else None


def _ours(part: str) -> str:
    return part if _OURS.fullmatch(part) else HIDDEN


def _is_probe(scope: MutableMapping[str, Any]) -> bool:
    return scope.get("path") in PROBES
