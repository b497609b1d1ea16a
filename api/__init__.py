"""The HTTP service."""

import orders.telemetry.conventions  # noqa: F401 - FastAPI reads them when it is imported
