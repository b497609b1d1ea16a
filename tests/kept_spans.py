"""Spans as the local stack keeps them, made by hand; times in milliseconds after the first one's."""

from __future__ import annotations

import itertools
from typing import Any

from cli.timescale import MILLISECOND
from cli.traces import Link, OrderTraces, Span
from cli.waterfall import Row, Waterfall

FIRST, OTHER = "a" * 32, "b" * 32
START = 1_700_000_000 * 10**9
_ids = itertools.count(1)


def span(name: str, parent: Span | None = None, at: float = 0, to: float | None = None, **rest: Any) -> Span:
    """A span within another; it has no length unless it is told when it ends."""
    made: Span = {
        "trace_id": FIRST,
        "span_id": f"{next(_ids):016x}",
        "parent_id": parent["span_id"] if parent else None,
        "name": name,
        "kind": "internal",
        "service": "orders-worker-orders",
        "start": START + round(at * MILLISECOND),
        "end": START + round((at if to is None else to) * MILLISECOND),
        "status": "unset",
        "message": "",
        "attributes": {},
        "events": [],
        "links": [],
    }
    return {**made, **rest}  # type: ignore[typeddict-item]


def attempt(asked: Span, n: int, at: float, to: float, error: str = "") -> Span:
    """One try of an activity of the payments."""
    attributes = {"task.queue": "payments", "attempt": n}
    status = {"status": "error", "message": error} if error else {}
    return span(
        f"RunActivity:{asked['name'].partition(':')[2]}",
        asked,
        at,
        to,
        service="orders-worker-payments",
        attributes=attributes,
        **status,
    )


def link_to(other: Span) -> Link:
    """A link to another span."""
    return {"trace_id": other["trace_id"], "span_id": other["span_id"], "attributes": {}}


def waterfall(*spans: Span, status: str = "completed", events: Any = (), now: int = 0) -> Waterfall:
    """The waterfall of these."""
    order: Any = {"id": "ord_1", "status": status}
    traces: dict[str, list[Span]] = {FIRST: []}
    for each in spans:
        traces.setdefault(each["trace_id"], []).append(each)
    return Waterfall.of(OrderTraces(order, list(events), traces), START + now * MILLISECOND)


def row(found: Waterfall, name: str) -> Row:
    """The only row of that name."""
    (only,) = [each for block in found.blocks for top in block.rows for each in top.all() if each.name == name]
    return only
