"""``python -m api`` serves the API until SIGTERM or Ctrl-C."""

from __future__ import annotations

import signal
import sys

import uvicorn

from api.app import create_app
from api.auth import Gatekeeper
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


def main() -> int:
    """Serve, and return the exit code."""
    try:
        set_up_logging()
        settings = load(ApiSettings)
        gatekeeper = Gatekeeper(load(AuthSettings).for_api_at(settings.host))
        for concern in (TemporalSettings, DatabaseSettings, LifecycleSettings, WebhookSettings):
            load(concern)
    except InvalidSetting as error:
        print(error, file=sys.stderr)
        return 2
    # Uvicorn, once it has drained, sends itself the signal that told it to: that one is not to count.
    signal.signal(signal.SIGTERM, lambda *_: None)
    app = create_app(settings, gatekeeper=gatekeeper)
    uvicorn.run(app, host=settings.host, port=settings.port, log_config=None, timeout_graceful_shutdown=10)
    return 0


if __name__ == "__main__":
    sys.exit(main())
