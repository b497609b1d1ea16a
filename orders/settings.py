"""Every setting there is, one class per concern: environment variables by pydantic-settings.

A setting is read where a process is put together (``api/app.py``, ``workers/runner.py``, ``migrations/``,
``cli/``) and passed on from there; workflows never see one.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from orders.contracts import Policy
from orders.errors import InvalidSetting


def _seconds(value: Any) -> Any:
    """Read ``3`` and ``0.5`` as seconds; ISO 8601 (``PT3S``) and ``00:00:03`` are left to pydantic."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


NotNegative = Annotated[timedelta, BeforeValidator(_seconds), Field(ge=timedelta(0))]
# Three calls have to fit into one activity: see PARTNER in orders/workflows/steps.py.
Latency = Annotated[timedelta, BeforeValidator(_seconds), Field(ge=timedelta(0), le=timedelta(seconds=4))]
Positive = Annotated[timedelta, BeforeValidator(_seconds), Field(gt=timedelta(0))]


def _possible_port(address: str) -> str:
    if int(address.rpartition(":")[2]) > 65535:  # noqa: PLR2004
        raise ValueError("the port is above 65535")
    return address


class Settings(BaseSettings):
    """What all settings have in common: names without regard to case, and an empty value means the default."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True, hide_input_in_errors=True
    )


class TemporalSettings(Settings):
    """The Temporal server."""

    address: Annotated[str, AfterValidator(_possible_port)] = Field(
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
    timeout: Positive = Field(
        timedelta(seconds=5),
        alias="DATABASE_TIMEOUT",
        description="longest wait for a connection or a statement",
    )


class LifecycleSettings(Settings):
    """The shop's rules, stamped on each order when it is placed."""

    review_timeout: NotNegative = Field(
        timedelta(seconds=3),
        alias="REVIEW_TIMEOUT",
        description="how long an order stays open for review before it goes on; 0 leaves the review out",
    )
    payment_timeout: Positive = Field(
        timedelta(days=7),
        alias="PAYMENT_TIMEOUT",
        description="how long an order whose payment failed waits for another method before it expires",
    )
    max_total: int = Field(
        10_000_000,
        alias="ORDER_MAX_TOTAL",
        gt=0,
        le=2**53,
        description="largest total that the shop takes, in minor units; a larger order is rejected",
    )

    def policy(self) -> Policy:
        """Give the rules in the form in which an order carries them."""
        return Policy(self.review_timeout, self.payment_timeout, self.max_total)


class ApiSettings(Settings):
    """The HTTP service."""

    host: str = Field("127.0.0.1", alias="API_HOST", min_length=1, description="address that the API listens on")
    port: int = Field(8000, alias="API_PORT", ge=0, le=65535, description="port that the API listens on")
    max_body: int = Field(256 * 1024, alias="API_MAX_BODY", ge=1024, description="largest request body, in bytes")
    timeout: Positive = Field(
        timedelta(seconds=10),
        alias="API_TIMEOUT",
        description="how long a request waits for Temporal; with DATABASE_TIMEOUT and a second, for reading what "
        "became of it, it must stay below the limit of the gateway in front",
    )


class WorkerSettings(Settings):
    """The workers."""

    graceful_shutdown: NotNegative = Field(
        timedelta(seconds=30),
        alias="WORKER_GRACEFUL_SHUTDOWN",
        description="how long running activities may take to end after SIGTERM; the process leaves 3 s later at most",
    )


class PartnerSettings(Settings):
    """The payment provider, the warehouse and the carriers."""

    payment_latency: Latency = Field(
        timedelta(0), alias="PAYMENT_LATENCY", description="how long the simulated provider takes for each call"
    )
    warehouse_latency: Latency = Field(
        timedelta(0), alias="WAREHOUSE_LATENCY", description="how long the simulated warehouse takes for each call"
    )
    carrier_latency: Latency = Field(
        timedelta(0), alias="CARRIER_LATENCY", description="how long the simulated carrier takes for each call"
    )
    carrier_transit: NotNegative = Field(
        timedelta(0),
        alias="CARRIER_TRANSIT",
        description="how long a simulated parcel travels; 0 delivers it at the hand-over",
    )


class LogSettings(Settings):
    """The logs."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", alias="LOG_LEVEL", description="least level that is logged"
    )


class ClientSettings(Settings):
    """The command line."""

    url: str = Field(
        "http://127.0.0.1:8000",
        alias="ORDERS_URL",
        pattern=r"^https?://",
        description="where the command line finds the API",
    )


class StackSettings(Settings):
    """The local stack of ``orders up``."""

    temporal_port: int = Field(
        7233, alias="STACK_TEMPORAL_PORT", ge=0, le=65535, description="port of the embedded Temporal server"
    )
    temporal_ui_port: int = Field(
        8233, alias="STACK_TEMPORAL_UI_PORT", ge=0, le=65535, description="port of Temporal's web page"
    )


CONCERNS: tuple[type[Settings], ...] = (
    TemporalSettings,
    DatabaseSettings,
    LifecycleSettings,
    ApiSettings,
    WorkerSettings,
    PartnerSettings,
    LogSettings,
    ClientSettings,
    StackSettings,
)

SomeSettings = TypeVar("SomeSettings", bound=Settings)


def load(concern: type[SomeSettings], **given: Any) -> SomeSettings:
    """Read one concern's settings; ``given`` values win over the environment.

    Raises:
        InvalidSetting: a value can't be used; the message is one line that names the variable.
    """
    try:
        return concern(**given)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidSetting(f"{first['loc'][0]}: {first['msg']}") from error
