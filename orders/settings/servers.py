"""The servers that the processes use."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from orders.settings.base import Positive, Settings, possible_port


class TemporalSettings(Settings):
    """The Temporal server."""

    address: Annotated[str, AfterValidator(possible_port)] = Field(
        "localhost:7233", alias="TEMPORAL_ADDRESS", pattern=r"^[^:/\s]+:\d{1,5}$", description="Temporal's `host:port`"
    )
    namespace: str = Field("default", alias="TEMPORAL_NAMESPACE", min_length=1, description="Temporal's namespace")


class DatabaseSettings(Settings):
    """The PostgreSQL database."""

    url: SecretStr = Field(
        SecretStr("postgresql://localhost:5432/orders"),
        alias="DATABASE_URL",
        description="PostgreSQL URL as libpq writes it; `?host=/folder` names a Unix socket",
    )
    pool_size: int = Field(
        10, alias="DATABASE_POOL_SIZE", ge=1, le=500, description="connections, and threads, of one process"
    )
    max_waiting: int = Field(
        200,
        alias="DATABASE_MAX_WAITING",
        ge=0,
        le=100_000,
        description="how many requests of one process may wait for a connection; more are answered with 503",
    )
    timeout: Positive = Field(
        timedelta(seconds=5),
        alias="DATABASE_TIMEOUT",
        description="longest wait for a connection or a statement",
    )
