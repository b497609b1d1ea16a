"""The application: ``create_app`` puts it together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from api.auth import Gatekeeper
from api.dependencies import Services
from api.errors import add_error_handlers
from api.middleware import Limits, Traced
from api.openapi import TAGS, describe
from api.pages import Pages
from api.routes import codec, following, health, messages, orders, stats, webhooks
from api.tracing import of_requests
from orders.settings import ApiSettings, AuthSettings, TelemetrySettings, load
from orders.telemetry import OFF, Telemetry

SERVICE = "orders-api"
DESCRIPTION = (
    """Orders from *received* to *delivered*. Errors are problem details (RFC 9457); amounts are decimal strings."""
)


def create_app(
    settings: ApiSettings | None = None,
    services: Services | None = None,
    gatekeeper: Gatekeeper | None = None,
    telemetry: Telemetry | None = None,
) -> FastAPI:
    """Make the application, with the given parts or with those that the environment describes.

    What is told of given services is up to who gives them.

    Raises:
        InvalidSetting: a setting can't be used, or anybody could do anything.
    """
    settings = settings or load(ApiSettings)
    if gatekeeper is None:
        # Which server will listen, and where, is not known here: the default says nothing about it.
        host = settings.host if "host" in settings.model_fields_set else None
        gatekeeper = Gatekeeper(load(AuthSettings).for_api_at(host))

    if telemetry is None:
        telemetry = OFF if services else Telemetry.start(SERVICE, load(TelemetrySettings))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        from orders.gauges import gauged  # noqa: PLC0415 - a function of AWS Lambda, which has no lifespan, has none

        own = None if services else await Services.from_settings(settings, telemetry)
        app.state.services = services or own
        async with telemetry.telling(), gauged(telemetry, app.state.services.database, app.state.services.client):
            waiting = asyncio.create_task(app.state.services.wait_until_ready())
            yield
            waiting.cancel()
        if own:
            own.feed.close()
            own.database.close()
            await asyncio.to_thread(telemetry.close)

    app = FastAPI(
        telemetry=of_requests(telemetry),
        title="Order lifecycle",
        version="0.1.0",
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        openapi_tags=TAGS,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.gatekeeper = gatekeeper
    app.state.max_body = settings.max_body
    for part in (orders, following, messages, webhooks, stats, codec, health):
        # Not `include_router`, which with the first request makes each route once more: 25 ms, and some at each other.
        app.router.routes.extend(part.router.routes)
    add_error_handlers(app)
    app.add_middleware(Limits, timeout=settings.timeout, max_headers=settings.max_headers)
    if settings.cors_origins or settings.codec_origins:
        app.add_middleware(Pages, shop=settings.cors_origins, temporal=settings.codec_origins)
    app.add_middleware(Traced)
    describe(app)
    return app
