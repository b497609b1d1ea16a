"""The application: ``create_app`` puts it together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from api.dependencies import Services
from api.errors import add_error_handlers, describe_problems
from api.routes import following, health, messages, orders, webhooks
from orders.settings import ApiSettings, load

DESCRIPTION = (
    """Orders from *received* to *delivered*. Errors are problem details (RFC 9457); amounts are decimal strings."""
)


def create_app(settings: ApiSettings | None = None, services: Services | None = None) -> FastAPI:
    """Make the application, with the given services or with those that the environment describes.

    Raises:
        InvalidSetting: a setting can't be used.
    """
    settings = settings or load(ApiSettings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        own = None if services else await Services.from_settings(settings)
        app.state.services = services or own
        waiting = asyncio.create_task(app.state.services.wait_until_ready())
        yield
        waiting.cancel()
        if own:
            own.feed.close()
            own.database.close()

    app = FastAPI(
        title="Order lifecycle",
        version="0.1.0",
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.max_body = settings.max_body
    for part in (orders, following, messages, webhooks, health):
        app.include_router(part.router)
    add_error_handlers(app)
    describe_problems(app)
    return app
