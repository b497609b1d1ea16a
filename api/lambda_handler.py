"""The API as a function of AWS Lambda: ``api.lambda_handler.handler``.

An environment of Lambda is a process that gets one event at a time, and is frozen between two. What it is made of is
made once, when this is imported, and lasts over all of them: one event loop, one client of Temporal, one connection to
PostgreSQL. There is no lifespan, and nothing goes on by itself: what is told is sent before an answer is given.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import Any

from fastapi import FastAPI
from mangum import Mangum
from opentelemetry.trace import get_current_span
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.app import SERVICE, create_app
from api.auth import Gatekeeper
from api.dependencies import Services
from api.gateway import TEXT, Http, asked_at, mended, vouched
from api.middleware import GRACE, Traced
from api.problems import RETRY_AFTER, problem
from orders.errors import DependencyUnavailable, InvalidSetting
from orders.logs import set_up_logging
from orders.settings import CONCERNS, ApiSettings, AuthSettings, LambdaSettings, TelemetrySettings, load
from orders.telemetry import OFF, Telemetry

Event = dict[str, Any]
Answer = dict[str, Any]
DEFAULTS = {"DATABASE_POOL_SIZE": "1", "DATABASE_PRE_PING": "true", "DATABASE_MAX_IDLE": "60"}
"""Where nothing else is set: there is one request at a time, and a connection may die while the process is frozen."""
MARGIN = 0.25
"""How long, in seconds, an answer may take from here to the gateway."""
PAUSE = 15.0
"""How long, in seconds, nobody waits for a collector that has not taken in time what there was to tell."""
logger = logging.getLogger(__name__)


class Environment:
    """What Lambda calls: the API, as soon as its settings are to be had."""

    def __init__(self) -> None:
        set_up_logging(SERVICE)
        self._request_id: str | None = None
        logging.getLogger().handlers[0].addFilter(self._stamp)
        self._settings = load(LambdaSettings)
        self._loop = asyncio.new_event_loop()
        self._function: Function | None = None
        try:
            self._function = self._started()
        except DependencyUnavailable as error:
            # Lambda would start another process with the next event, after an answer of the gateway's own to this one.
            logger.warning("not started yet: %s", error)

    def __call__(self, event: Event, context: Any) -> Answer:
        """Answer an event.

        Raises:
            InvalidSetting: a setting that has come from the secret can't be used.
            RuntimeError: it is no request.
        """
        self._request_id = context.aws_request_id
        try:
            self._function = self._function or self._started()
        except DependencyUnavailable as error:
            logger.warning("not started yet: %s", error)
            return Function(Traced(_unavailable), self._settings, loop=self._loop)(event, context)
        return self._function(event, context)

    def _started(self) -> Function:
        """Put the API together; neither Temporal nor PostgreSQL need be there yet.

        Raises:
            InvalidSetting: a setting can't be used.
            DependencyUnavailable: the settings that are secret can't be had.
        """
        if self._settings.secret:
            from orders.aws import secret_of  # noqa: PLC0415

            _set(_known(secret_of(self._settings.secret)))
        _set(DEFAULTS)
        telemetry = Telemetry.start(SERVICE, load(TelemetrySettings))
        gatekeeper = Gatekeeper(load(AuthSettings).for_function())
        settings = load(ApiSettings)
        services = self._loop.run_until_complete(Services.from_settings(settings, telemetry))
        app = create_app(settings, services, gatekeeper, telemetry)
        return Function(app, self._settings, telemetry, self._loop)

    def _stamp(self, record: logging.LogRecord) -> bool:
        record.aws_request_id = self._request_id
        return True


class Function:
    """Answers events by an application, one at a time, within the time that the gateway and Lambda leave."""

    def __init__(
        self,
        app: ASGIApp,
        settings: LambdaSettings,
        telemetry: Telemetry = OFF,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._app, self._settings, self._telemetry = app, settings, telemetry
        self._loop = loop or asyncio.new_event_loop()
        if isinstance(app, FastAPI):
            app.add_middleware(Invoked)
        asyncio.set_event_loop(self._loop)
        self._mangum = Mangum(self._ask, lifespan="off", custom_handlers=[Http], text_mime_types=TEXT)
        self._next_flush = 0.0

    def __call__(self, event: Event, context: Any) -> Answer:
        """Answer an event.

        Raises:
            RuntimeError: it is no request.
        """
        # Mangum takes the loop that the thread has.
        asyncio.set_event_loop(self._loop)
        try:
            return self._mangum(event, context)
        finally:
            self._loop.run_until_complete(_settled())
            self._flush(context)

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        event = scope["aws.event"]
        state = {"latest": self._latest(event, scope["aws.context"]), "is_buffered": True, "vouched": vouched(event)}
        await self._app({**mended(scope, self._settings.base_path), "state": state}, receive, send)

    def _latest(self, event: Event, context: Any) -> float:
        """Say when, by the monotonic clock, a request has to be over, so that nobody gives up who waits for it."""
        patience, now = self._settings.gateway_timeout.total_seconds(), time.time()
        # The start of an environment counts, too. An event from long ago is one that is tried out by hand.
        waited = now - (asked_at(event) or now)
        left = patience - waited if 0 < waited < patience else patience
        left = min(left, _left(context)) - self._settings.flush_timeout.total_seconds()
        return time.monotonic() + left - GRACE - MARGIN

    def _flush(self, context: Any) -> None:
        """Send what there is to tell; but not again at once where that took too long: a later event brings it along."""
        if time.monotonic() < self._next_flush:
            return
        bound = min(self._settings.flush_timeout.total_seconds(), _left(context) - MARGIN)
        if not self._telemetry.flush(max(0.0, bound)):
            logger.warning("the collector does not take in time what there is to tell: see OTEL_EXPORTER_OTLP_ENDPOINT")
            self._next_flush = time.monotonic() + PAUSE


class Invoked:
    """Marks the span of a request with the invocation, and the first one of an environment as that.

    The names are OpenTelemetry's ("Semantic conventions for FaaS spans").
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._is_cold = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        marks = {"faas.trigger": "http", "faas.invocation_id": scope["aws.context"].aws_request_id}
        get_current_span().set_attributes({**marks, "faas.coldstart": self._is_cold})
        self._is_cold = False
        await self._app(scope, receive, send)


def _left(context: Any) -> float:
    return float(context.get_remaining_time_in_millis()) / 1000


async def _settled() -> None:
    """Let what was cancelled with the answer come to its end now, and not beside another event."""
    if leaving := [task for task in asyncio.all_tasks() if task.cancelling()]:
        await asyncio.wait(leaving, timeout=MARGIN)


def _known(secret: dict[str, str]) -> dict[str, str]:
    """Return what a secret has, if all of it are settings.

    Raises:
        InvalidSetting: something is none, by a typing error say, and would be passed over.
    """
    ours = {str(field.alias) for concern in CONCERNS for field in concern.model_fields.values()}
    if unknown := [name for name in secret if name not in ours and not name.startswith("OTEL_")]:
        raise InvalidSetting(f"SETTINGS_SECRET_ARN: {min(unknown)} in that secret is no setting")
    return secret


def _set(values: dict[str, str]) -> None:
    # In the environment, since OpenTelemetry's SDK reads some there. An empty variable is none.
    os.environ.update({name: value for name, value in values.items() if not os.environ.get(name)})


async def _unavailable(scope: Scope, receive: Receive, send: Send) -> None:
    detail = "the settings can't be read now, so nothing was done; try again"
    await problem(Request(scope), "unavailable", detail, headers=RETRY_AFTER)(scope, receive, send)


handler = Environment()
