"""A client span for each call of a partner, whoever it is."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from opentelemetry import trace
from opentelemetry.trace import SpanKind

Partner = TypeVar("Partner")
_tracer = trace.get_tracer("orders.partners")


def traced(partner: Partner, name: str) -> Partner:
    """Give the same partner, each call of which is a span ``{name} {call}`` without what is asked and answered."""
    return cast("Partner", _Traced(partner, name))


class _Traced:
    def __init__(self, partner: object, name: str) -> None:
        self._partner = partner
        self._name = name

    def __getattr__(self, call: str) -> Callable[..., Awaitable[Any]]:
        ask = getattr(self._partner, call)

        @functools.wraps(ask)
        async def asked(*arguments: Any) -> Any:
            of_call = {"service.peer.name": self._name, "code.function.name": call}
            with _tracer.start_as_current_span(f"{self._name} {call}", kind=SpanKind.CLIENT, attributes=of_call):
                return await ask(*arguments)

        return asked
