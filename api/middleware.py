"""What every request gets: the name of its trace, a deadline, limits, and an answer whatever goes wrong."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
from datetime import timedelta

from opentelemetry import trace
from opentelemetry.trace import format_trace_id
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import unexpected
from api.problems import TRACE_HEADER, problem
from api.tracing import PROBES, order_in, own_path, path_of, without_values
from orders.deadline import Deadline, within
from orders.telemetry.context import context_of

GRACE = 0.25
"""How much later than the deadline, in seconds, a request is cut off: whoever is waited for is to be named first."""
TWO_LENGTHS = "the body has a Content-Length and a Transfer-Encoding: send one of them"
logger = logging.getLogger(__name__)


class Traced:
    """Names the trace of each request, to itself, in the answer and in the log; the outermost of all."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, span = time.monotonic(), span_of(scope)
        trace_id = format_trace_id(span.get_span_context().trace_id)
        # HEAD is GET without what it brings (RFC 9110, section 9.3.2), and waits for nothing.
        is_head = scope["method"] == "HEAD"
        scope.setdefault("state", {}).update(trace_id=trace_id, is_head=is_head)
        asked = {**scope, "method": "GET"} if is_head else scope

        async def named(message: Message) -> None:
            if is_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault(TRACE_HEADER, trace_id)
                # Orders are personal: nobody in between is to keep them, unless a route knows better.
                headers.setdefault("Cache-Control", "no-store")
                # Without what is asked for: it may name a customer.
                level = logging.DEBUG if own_path(scope) in PROBES else logging.INFO
                took = 1000 * (time.monotonic() - begun)
                said = (scope["method"], path_of(scope), message["status"], took)
                about = {"order_id": order_in(asked)}
                logger.log(level, "%s %s: %d after %.0f ms", *said, extra=about)
            await send(message)

        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            await self._app(asked, receive, named)


class Limits:
    """Ends with a problem what is too large, takes too long or fails unexpectedly; the innermost of all.

    A ``latest`` in a request's state is the time of the monotonic clock at which it is over, whatever it asks for.
    """

    def __init__(self, app: ASGIApp, timeout: timedelta, max_headers: int) -> None:
        self._app = app
        self._timeout = timeout
        self._max_headers = max_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request, has_begun = Request(scope), False

        async def watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        if (size := sum(len(name) + len(value) + 4 for name, value in scope["headers"])) > self._max_headers:
            detail = f"the headers have {size} bytes, of {self._max_headers} at most"
            await problem(request, "headers-too-large", detail)(scope, receive, send)
            return
        if {b"content-length", b"transfer-encoding"} <= {name for name, _ in scope["headers"]}:
            # What follows could be a request to somebody in front of us, and a body to us (RFC 9112, section 6.1).
            refused = problem(request, "malformed", TWO_LENGTHS, headers={"Connection": "close"})
            await refused(scope, receive, send)
            return
        state = scope["state"]
        try:
            with within(self._timeout, state.get("latest", math.inf)) as end:
                async with asyncio.timeout_at(_cut_off(end)) as timer:
                    state.update(timer=timer, deadline=end)
                    await self._app(scope, receive, watched)
        except Exception as error:
            if has_begun:
                raise
            is_late = isinstance(error, TimeoutError) and timer.expired()
            answer = problem(request, "timeout", "it took too long") if is_late else unexpected(request, error)
            await answer(scope, receive, send)


def span_of(scope: Scope) -> trace.Span:
    """Give the span of a request; where none is recorded, one that only has names: the caller's trace, or a new one."""
    here = trace.get_current_span()
    if here.get_span_context().is_valid:
        without_values(here, scope)
        return here
    theirs = context_of(Headers(scope=scope))
    trace_id = theirs.trace_id if theirs else secrets.randbits(128) | 1
    return trace.NonRecordingSpan(trace.SpanContext(trace_id, secrets.randbits(64) | 1, is_remote=False))


def prolong(request: Request, by: timedelta | None) -> None:
    """Let a request take longer than others by this much, or with None as long as it likes."""
    timer: asyncio.Timeout = request.state.timer
    end: Deadline = request.state.deadline
    end.prolong(by)
    timer.reschedule(_cut_off(end))


def _cut_off(deadline: Deadline) -> float | None:
    """Say when, by the event loop's clock, a request with this deadline is cut off, if ever."""
    if math.isinf(deadline.end):
        return None
    return asyncio.get_running_loop().time() + deadline.end - time.monotonic() + GRACE
