"""The spans of an order: what they look like as JSON, and where they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict, cast

import httpx2

from cli.client import ApiError, Event, Order

ORDER_ID = "order.id"


class SpanEvent(TypedDict):
    """Something that happened within a span, such as an exception; ``at`` in Unix nanoseconds."""

    name: str
    at: int
    attributes: dict[str, Any]


class Link(TypedDict):
    """Another span that has to do with one, most often in another trace."""

    trace_id: str
    span_id: str
    attributes: dict[str, Any]


class Span(TypedDict):
    """A span as it is kept; times in Unix nanoseconds, ids in hex digits.

    ``kind`` is ``internal``, ``server``, ``client``, ``producer`` or ``consumer``, ``status`` ``unset``, ``ok`` or
    ``error``; ``service`` is the process that made it.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: str
    service: str
    start: int
    end: int
    status: str
    message: str
    attributes: dict[str, Any]
    events: list[SpanEvent]
    links: list[Link]


@dataclass(frozen=True)
class OrderTraces:
    """The spans of an order by trace: first those of its placing, then those of each message that came later."""

    order: Order
    events: list[Event]
    spans: dict[str, list[Span]]


class TracesClient:
    """Asks where spans are kept.

    Raises:
        ApiError: nothing is there, or not what is looked for.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def of(self, order: Order, events: list[Event]) -> OrderTraces:
        """Get an order's traces: those that its events name, and those that its first one is linked with."""
        named = list(dict.fromkeys(event["trace_id"] for event in events if event["trace_id"]))
        if not named or named[0] != events[0]["trace_id"]:
            raise self._not_found(f"{order['id']} was placed without a trace")
        first = _about(order["id"], self._spans(named[0]))
        if not first:
            raise self._not_found(f"no span of trace {named[0]} is at {self._url}")
        linked = [link["trace_id"] for span in first for link in span["links"]]
        others = [trace_id for trace_id in dict.fromkeys([*named[1:], *linked]) if trace_id != named[0]]
        found = {trace_id: _about(order["id"], self._spans(trace_id)) for trace_id in others}
        return OrderTraces(order, events, {named[0]: first, **found})

    def _spans(self, trace_id: str) -> list[Span]:
        try:
            answer = httpx2.get(f"{self._url}/traces/{trace_id}", trust_env=False, timeout=10)
            found = answer.raise_for_status().json()
        except (httpx2.HTTPStatusError, ValueError) as error:
            raise self._unreachable(f"what answers at {self._url} does not keep spans") from error
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            raise self._unreachable(f"nothing answers at {self._url}") from error
        if not isinstance(found, list):
            raise self._unreachable(f"what answers at {self._url} does not keep spans")
        return cast("list[Span]", found)

    def _unreachable(self, detail: str) -> ApiError:
        advice = "`orders up` keeps spans and prints where; set ORDERS_TRACES_URL to it"
        return ApiError({"title": "Unreachable", "status": 0, "detail": f"{detail}: {advice}"})

    def _not_found(self, detail: str) -> ApiError:
        reasons = "tracing was off, it was not sampled, made room for later ones, or was sent elsewhere (OTEL_*)"
        return ApiError({"title": "Not found", "status": 0, "detail": f"{detail}: {reasons}"})


def _about(order_id: str, spans: list[Span]) -> list[Span]:
    """Leave out other orders, which a caller may place within one trace of its own."""
    return [span for span in spans if span["attributes"].get(ORDER_ID, order_id) == order_id]
