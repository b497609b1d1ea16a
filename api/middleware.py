"""What every request gets: a trace id, a deadline, and limits of its own."""

from __future__ import annotations

import asyncio
import re
import secrets
from datetime import timedelta

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import TRACE_HEADER, problem
from orders.deadline import Deadline, within

TRACEPARENT = re.compile(r"00-(?P<trace_id>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
"""The header ``traceparent`` (W3C Trace Context, section 3.2)."""
GRACE = 0.25
"""How much later than the deadline, in seconds, a request is cut off: whoever is waited for is to be named first."""


class Limits:
    """Names the trace of each request, and ends what is too large or takes too long with a problem."""

    def __init__(self, app: ASGIApp, timeout: timedelta, max_headers: int) -> None:
        self._app = app
        self._timeout = timeout
        self._max_headers = max_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace_id = trace_id_of(Headers(scope=scope).get("traceparent"))
        scope.setdefault("state", {})["trace_id"] = trace_id
        has_begun = False

        async def named(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                headers = MutableHeaders(scope=message)
                headers.setdefault(TRACE_HEADER, trace_id)
                # Orders are personal: nobody in between is to keep them, unless a route knows better.
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        if (size := sum(len(name) + len(value) + 4 for name, value in scope["headers"])) > self._max_headers:
            answer = problem(
                Request(scope), "headers-too-large", f"the headers have {size} bytes, of {self._max_headers} at most"
            )
            await answer(scope, receive, named)
            return
        try:
            async with asyncio.timeout(self._timeout.total_seconds() + GRACE) as timer:
                with within(self._timeout) as end:
                    scope["state"].update(timer=timer, deadline=end)
                    await self._app(scope, receive, named)
        except TimeoutError:
            if has_begun or not timer.expired():
                raise
            await problem(Request(scope), "timeout", "it took too long")(scope, receive, named)


def trace_id_of(traceparent: str | None) -> str:
    """Give the trace in the course of which somebody asks: their own, or one that begins here."""
    found = TRACEPARENT.fullmatch(traceparent or "")
    return found["trace_id"] if found and int(found["trace_id"], 16) else secrets.token_hex(16)


def prolong(request: Request, by: timedelta | None) -> None:
    """Let a request take longer than others by this much, or with None as long as it likes."""
    timer: asyncio.Timeout = request.state.timer
    end: Deadline = request.state.deadline
    end.prolong(by)
    timer.reschedule(None if by is None else (timer.when() or 0) + by.total_seconds())
