"""The HTTP service."""

import orders.conventions  # noqa: F401 - FastAPI reads them when it is imported
