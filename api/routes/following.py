"""Following an order: its audit trail, as it is or as it grows, and what it is doing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response, status

from api.auth import Scope
from api.dependencies import Caller, Feed, LiveProgress, OrderId, Orders, needs
from api.event_stream import STREAM, VARY, EventStream
from api.exact_json import ExactJsonRoute
from api.feed import Follower
from api.media_types import accepts, wants
from api.middleware import prolong
from api.problems import GUARDED, problem, responses
from api.schemas import EventList, EventView, ProgressView
from orders.deadline import remaining
from orders.ledger.reader import Trail

MAX_WAIT = 25
"""The longest wait for an answer, in seconds: gateways give up after 29 or 30 (AWS API Gateway's manual, "Quotas")."""
MAX_SEQ = 2**31 - 1
JSON = "application/json"

router = APIRouter(prefix="/orders", tags=["orders"], route_class=ExactJsonRoute)
_EXAMPLE = 'retry: 1000\n\ndata: {"seq":1,"type":"received","at":"2026-01-02T03:04:05Z",…}\nid: 1\n\n'
FOLLOWING = responses(*GUARDED, "not-found", "validation")
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The events, or a stream of them that ends when the order does",
        "content": {STREAM: {"schema": {"type": "string"}, "example": _EXAMPLE}},
    },
    204: {"description": f"To `Accept: {STREAM}`: the order is at its end and there is nothing newer; don't reconnect"},
    **responses(*GUARDED, "not-found", "not-acceptable", "validation"),
}


@router.get(
    "/{order_id}/events",
    operation_id="listOrderEvents",
    response_model=EventList,
    dependencies=[needs(Scope.READ)],
    responses=_ANSWERS,
)
async def events(
    order_id: OrderId,
    orders: Orders,
    feed: Feed,
    caller: Caller,
    request: Request,
    response: Response,
    after: Annotated[int, Query(ge=0, le=MAX_SEQ, description="only events behind this `seq`", examples=[7])] = 0,
    wait: Annotated[
        float, Query(ge=0, le=MAX_WAIT, description="if there are none, wait so many seconds for some", examples=[25])
    ] = 0,
    last_event_id: Annotated[
        int | None,
        Header(
            alias="Last-Event-ID", ge=0, le=MAX_SEQ, description="the last `id` seen; wins over `after`", examples=[7]
        ),
    ] = None,
) -> EventList | Response:
    """Read an order's audit trail, oldest first, 1000 events at most; or follow it, by waiting or as a stream."""
    after = after if last_event_id is None else last_event_id
    trail = await orders.trail(order_id, after)
    following = feed.follow(order_id, trail.reached, caller.actor)
    is_waiting, accept = not request.state.is_head, ",".join(request.headers.getlist("Accept"))
    is_buffered = getattr(request.state, "is_buffered", False)
    if is_waiting and is_buffered and not accepts(accept, JSON):
        return _no_stream(request, order_id, trail.reached)
    if is_waiting and not is_buffered and wants(accept, STREAM, rather_than=JSON):
        if trail.is_over and not trail.events:
            return Response(status_code=status.HTTP_204_NO_CONTENT, headers=VARY)
        prolong(request, None)
        return EventStream(trail, following, partial(orders.trail, order_id))
    if is_waiting and wait and not (trail.events or trail.is_over):
        prolong(request, timedelta(seconds=wait))
        with following as follower:
            trail = await _news(request, follower, remaining(timedelta(seconds=wait)).total_seconds())
    response.headers.update(VARY)
    data = [EventView.of(event) for event in trail.events]
    return EventList(data=data, next=None if trail.is_over else str(trail.reached))


def _no_stream(request: Request, order_id: str, reached: int) -> Response:
    """Point who wants a stream to where they can wait instead, since each answer here is sent when it is whole."""
    there = f"{request.scope.get('root_path', '')}/orders/{order_id}/events?after={reached}&wait={MAX_WAIT}"
    detail = f"there are no streams behind this gateway: wait for events by Accept: {JSON} and ?wait={MAX_WAIT}"
    headers = {"Link": f'<{there}>; rel="alternate"; type="{JSON}"', **VARY}
    return problem(request, "not-acceptable", detail, headers=headers)


async def _news(request: Request, follower: Follower, wait: float) -> Trail:
    """Wait for events, but not for a client that has gone away."""
    watching = asyncio.create_task(_dismiss_when_gone(request, follower))
    try:
        return await follower.next(wait)
    finally:
        watching.cancel()


async def _dismiss_when_gone(request: Request, follower: Follower) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    follower.dismiss()


@router.get(
    "/{order_id}/progress",
    operation_id="getOrderProgress",
    dependencies=[needs(Scope.READ)],
    responses=FOLLOWING,
)
async def progress(order_id: OrderId, live: LiveProgress) -> ProgressView:
    """Say what an order is doing in this moment, what it waits for, and how often that was tried."""
    return ProgressView.of(order_id, await live.of(order_id))
