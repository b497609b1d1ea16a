"""One environment of AWS Lambda: a process that gets one event at a time, and is frozen between two.

What it is made of lasts over all events: there is no lifespan, and nothing goes on by itself. What it has to tell is
sent before an answer is given.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from fastapi import FastAPI
from mangum import Mangum
from opentelemetry.trace import get_current_span
from starlette.types import ASGIApp, Receive, Scope, Send

from api.gateway import TEXT, Balancer, Http, asked_at, mended, vouched
from api.middleware import GRACE
from orders.settings import LambdaSettings
from orders.telemetry import OFF, Telemetry

Event = dict[str, Any]
Answer = dict[str, Any]
MARGIN = 0.25
"""How long, in seconds, an answer may take from here to the gateway."""
PAUSE = 15.0
"""How long, in seconds, nobody waits for a collector that has not taken in time what there was to tell."""
logger = logging.getLogger(__name__)


class Function:
    """Answers events by an application, one at a time, within the time that the gateway and Lambda leave."""

    def __init__(
        self,
        app: ASGIApp,
        settings: LambdaSettings,
        loop: asyncio.AbstractEventLoop,
        telemetry: Telemetry = OFF,
    ) -> None:
        self._app, self._settings, self._loop, self._telemetry = app, settings, loop, telemetry
        if isinstance(app, FastAPI):
            app.add_middleware(Invoked)
        # Mangum takes the loop that the thread has, and makes one where there is none.
        asyncio.set_event_loop(loop)
        self._mangum = Mangum(self._ask, lifespan="off", custom_handlers=[Balancer, Http], text_mime_types=TEXT)
        self._next_flush = 0.0
        self._late: set[asyncio.Task[Any]] = set()

    def __call__(self, event: Event, context: Any) -> Answer:
        """Answer an event.

        Raises:
            RuntimeError: it is no request.
        """
        asyncio.set_event_loop(self._loop)
        try:
            return self._mangum(event, context)
        finally:
            patience = max(0.0, min(self._settings.flush_timeout.total_seconds(), _left(context) - MARGIN))
            end = time.monotonic() + patience
            self._loop.run_until_complete(self._settle(patience / 2))
            self._flush(end)

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        event, (asked, root) = scope["aws.event"], mended(scope, self._settings.base_path)
        state = {"latest": self._latest(event, scope["aws.context"]), "is_buffered": True, "vouched": vouched(event)}
        await self._app({**asked, "state": {**state, "root_path": root}}, receive, send)

    def _latest(self, event: Event, context: Any) -> float:
        """Say when, by the monotonic clock, a request has to be over, so that nobody gives up who waits for it."""
        patience, now = self._settings.gateway_timeout.total_seconds(), time.time()
        # The start of an environment counts, too. An event from long ago is one that is tried out by hand.
        waited = now - (asked_at(event) or now)
        left = patience - waited if 0 < waited < patience else patience
        left = min(left, _left(context)) - self._settings.flush_timeout.total_seconds()
        return time.monotonic() + left - GRACE - MARGIN

    async def _settle(self, patience: float) -> None:
        """Let what goes on beside the answer come to its end, where it does so soon: now, and not beside another event.

        That is what was cancelled, and an issuer's keys that are asked for anew. None is waited for twice.
        """
        if going_on := asyncio.all_tasks() - {asyncio.current_task()} - self._late:
            await asyncio.wait(going_on, timeout=patience)
        self._late = {task for task in self._late | going_on if not task.done()}

    def _flush(self, end: float) -> None:
        """Send what there is to tell; but not again at once where that took too long: a later event brings it along."""
        if time.monotonic() < self._next_flush:
            return
        if not self._telemetry.flush(end - time.monotonic()):
            logger.warning("the collector does not take in time what there is to tell: see OTEL_EXPORTER_OTLP_ENDPOINT")
            self._next_flush = time.monotonic() + PAUSE


class Invoked:
    """Marks the span of a request with the invocation, and the first one of an environment as that.

    The names are OpenTelemetry's ("Semantic conventions for FaaS spans"). What the gateway's addresses have in front of
    our paths is told here only: spans and metrics have the same routes behind every gateway.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._is_cold = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        marks = {"faas.trigger": "http", "faas.invocation_id": scope["aws.context"].aws_request_id}
        get_current_span().set_attributes({**marks, "faas.coldstart": self._is_cold})
        self._is_cold = False
        root = scope["state"]["root_path"]
        await self._app({**scope, "root_path": root, "path": root + scope["path"]}, receive, send)


def _left(context: Any) -> float:
    return float(context.get_remaining_time_in_millis()) / 1000
