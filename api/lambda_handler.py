"""The API as a function of AWS Lambda: ``api.lambda_handler.handler``.

One event loop, one client of Temporal and one connection to PostgreSQL are made when this is imported, and last as long
as the environment of Lambda does.
"""

from __future__ import annotations

from api import cold_start

# isort: split
import asyncio
import logging
import os
from typing import Any

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from api.app import SERVICE, create_app
from api.auth import Gatekeeper
from api.dependencies import Services
from api.function import Answer, Event, Function
from api.middleware import Traced
from api.problems import RETRY_AFTER, problem
from orders.aws import secret_of
from orders.errors import DependencyUnavailable, InvalidSetting
from orders.logs import set_up_logging
from orders.settings import (
    CONCERNS,
    ApiSettings,
    AuthSettings,
    DatabaseSettings,
    LambdaSettings,
    LifecycleSettings,
    TelemetrySettings,
    TemporalSettings,
    WebhookSettings,
    load,
)
from orders.telemetry import Telemetry

DEFAULTS = {
    "DATABASE_POOL_SIZE": "1",
    "DATABASE_PRE_PING": "true",
    "DATABASE_MAX_IDLE": "60",
    "TEMPORAL_KEEP_ALIVE_TIMEOUT": "2",
}
"""Where nothing else is set: there is one request at a time, and connections may die while the process is frozen."""
logger = logging.getLogger(__name__)


class Environment:
    """What Lambda calls: the API, as soon as its settings are to be had."""

    def __init__(self) -> None:
        self._request_id: str | None = None
        self._read_own_settings()
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
            return Function(Traced(_unavailable), self._settings, self._loop)(event, context)
        return self._function(event, context)

    def _started(self) -> Function:
        """Put the API together; neither Temporal nor PostgreSQL need be there yet.

        Raises:
            InvalidSetting: a setting can't be used.
            DependencyUnavailable: the settings that are secret can't be had.
        """
        added = _set(_known(secret_of(self._settings.secret)) if self._settings.secret else {})
        try:
            return self._put_together()
        except InvalidSetting:
            # It may be mended there, and then is not to be overruled by what was wrong.
            for name in added:
                del os.environ[name]
            raise

    def _put_together(self) -> Function:
        self._read_own_settings()
        _set(DEFAULTS)
        # All are looked at before anything is made that lasts.
        for concern in (TemporalSettings, DatabaseSettings, LifecycleSettings, WebhookSettings):
            load(concern)
        settings, told = load(ApiSettings), _sent(load(TelemetrySettings))
        gatekeeper = Gatekeeper(load(AuthSettings).for_function())
        telemetry = Telemetry.start(SERVICE, told)
        services = self._loop.run_until_complete(Services.from_settings(settings, telemetry))
        app = create_app(settings, services, gatekeeper, telemetry)
        return Function(app, self._settings, self._loop, telemetry)

    def _read_own_settings(self) -> None:
        """Read what has to be known before a secret can be fetched; and again, since it may be in that."""
        set_up_logging(SERVICE)
        logging.getLogger().handlers[0].addFilter(self._stamp)
        self._settings = load(LambdaSettings)

    def _stamp(self, record: logging.LogRecord) -> bool:
        record.aws_request_id = self._request_id
        return True


def _known(secret: dict[str, str]) -> dict[str, str]:
    """Return what a secret has, if all of it are settings.

    Raises:
        InvalidSetting: something is none, by a typing error say, and would be passed over.
    """
    ours = {str(field.alias) for concern in CONCERNS for field in concern.model_fields.values()}
    if unknown := [name for name in secret if name not in ours and not name.startswith("OTEL_")]:
        raise InvalidSetting(f"SETTINGS_SECRET_ARN: {min(unknown)} in that secret is no setting")
    return secret


def _sent(settings: TelemetrySettings) -> TelemetrySettings:
    """Return these settings if what they tell is sent.

    Raises:
        InvalidSetting: it would wait to be fetched.
    """
    if "prometheus" in settings.metrics:
        raise InvalidSetting("OTEL_METRICS_EXPORTER: prometheus can't reach a function: set otlp or none")
    return settings


def _set(values: dict[str, str]) -> list[str]:
    """Set what is not set, and return which; in the environment, since OpenTelemetry's SDK reads some there."""
    # An empty variable is none.
    missing = [name for name in values if not os.environ.get(name)]
    os.environ.update({name: values[name] for name in missing})
    return missing


async def _unavailable(scope: Scope, receive: Receive, send: Send) -> None:
    detail = "the settings can't be read now, so nothing was done; try again"
    await problem(Request(scope), "unavailable", detail, headers=RETRY_AFTER)(scope, receive, send)


handler = Environment()
cold_start.ended()
