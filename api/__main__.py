"""``python -m api`` serves the API until SIGTERM or Ctrl-C."""

from __future__ import annotations

import math
import signal
import socket
import sys
from contextlib import suppress

import uvicorn
from fastapi import FastAPI

from api.app import SERVICE, create_app
from api.auth import Gatekeeper
from api.connections import patient_for
from orders.errors import InvalidSetting
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


class Server(uvicorn.Server):
    """Uvicorn, which would wait for those who follow orders until its patience ends: they are dismissed first."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Dismiss them, then drain."""
        assert isinstance(self.config.app, FastAPI)
        self.config.app.state.services.feed.close()
        await super().shutdown(sockets)


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
    # Uvicorn, once it has drained, sends itself the signal that told it to: that one is not to count.
    signal.signal(signal.SIGTERM, lambda *_: None)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=patient_for(settings.timeout),
        ws="none",
        h11_max_incomplete_event_size=REQUEST_LINE + settings.max_headers,
        log_config=None,
        # Its lines have the whole address, with the email of whom one looks for.
        access_log=False,
        # Whatever is asked has its time; who follows orders has been dismissed.
        timeout_graceful_shutdown=math.ceil(settings.timeout.total_seconds()),
    )
    with suppress(KeyboardInterrupt):
        Server(config).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
