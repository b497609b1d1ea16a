"""The process of the API, from its settings to its exit code."""

from __future__ import annotations

import asyncio
import math
import socket
import sys
from types import FrameType

import uvicorn
from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from api.app import SERVICE, create_app
from api.auth import Gatekeeper
from api.connections import patient_for
from orders.errors import InvalidSetting
from orders.leaving import leave_at_once
from orders.logs import set_up_logging
from orders.settings import (
    ApiSettings,
    AuthSettings,
    DatabaseSettings,
    LifecycleSettings,
    TemporalSettings,
    WebhookSettings,
    load,
)

REQUEST_LINE = 8000
"""How long the first line of a request may be, in bytes, at least (RFC 9112, section 3)."""
LATE = 0.1
"""How often, in seconds, it is looked whether somebody has come late."""


class Server(uvicorn.Server):
    """Uvicorn, as it leaves: nobody is left waiting, and a second signal is heard."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Leave, and at once when told for the second time."""
        if self.should_exit:
            leave_at_once()
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Dismiss those who follow orders, for whom uvicorn would wait until its patience ends; then drain."""
        assert isinstance(self.config.app, Farewell)
        self.config.app.dismiss()
        closing = asyncio.create_task(self._close_connections_of_late())
        await super().shutdown(sockets)
        closing.cancel()

    async def _close_connections_of_late(self) -> None:
        # Uvicorn tells the connections that it knows; one that was being accepted in that moment would be kept alive,
        # and served, until its patience ends.
        while True:
            await asyncio.sleep(LATE)
            for connection in list(self.server_state.connections):
                connection.shutdown()


class Farewell:
    """Says in each answer of a process that leaves that it takes no more on this connection (RFC 9112, section 9.6).

    ``wrong`` is the setting for which the application can't begin.
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._is_leaving = False
        self.wrong: InvalidSetting | None = None

    def dismiss(self) -> None:
        """Leave: who follows an order is answered."""
        self._is_leaving = True
        self._app.state.services.feed.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def said(message: Message) -> None:
            if self._is_leaving and message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            if message["type"] == "lifespan.startup.failed" and isinstance(sys.exception(), InvalidSetting):
                # One line of `main` says it, and no stack trace.
                message = {"type": "lifespan.startup.failed"}
            await send(message)

        try:
            await self._app(scope, receive, said)
        except InvalidSetting as error:
            if scope["type"] != "lifespan":
                raise
            self.wrong = error


def main() -> int:
    """Serve, and return the exit code."""
    try:
        set_up_logging(SERVICE)
        settings = load(ApiSettings)
        gatekeeper = Gatekeeper(load(AuthSettings).for_api_at(settings.host))
        for concern in (TemporalSettings, DatabaseSettings, LifecycleSettings, WebhookSettings):
            load(concern)
        app = create_app(settings, gatekeeper=gatekeeper)
    except InvalidSetting as error:
        print(error, file=sys.stderr)
        return 2
    farewell = Farewell(app)
    config = uvicorn.Config(
        farewell,
        host=settings.host,
        port=settings.port,
        http=patient_for(settings.timeout),
        ws="none",
        h11_max_incomplete_event_size=REQUEST_LINE + settings.max_headers,
        log_config=None,
        # Its lines have the whole address, with the email of whom one looks for.
        access_log=False,
        # Whatever is asked has its time, and is answered then, even if it has come late.
        timeout_graceful_shutdown=math.ceil(settings.timeout.total_seconds()) + 1,
    )
    server = Server(config)
    try:
        server.run()
    except SystemExit:
        # So uvicorn ends when it can't begin; it has logged any reason but a wrong setting.
        if farewell.wrong:
            print(farewell.wrong, file=sys.stderr)
        elif not server.lifespan.should_exit:
            where = f"{settings.host}:{settings.port}"
            print(f"API_PORT: {where} can't be listened on: end who does, or choose another port", file=sys.stderr)
        else:
            return 1
        return 2
    return 0
