"""Every setting there is, one class per concern: environment variables by pydantic-settings.

A setting is read where a process is put together (``api/app.py``, ``workers/runner.py``, ``migrations/``,
``cli/``) and passed on from there; workflows never see one.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from orders.errors import InvalidSetting
from orders.policy import CaptureMode, Patience, Policy, ReviewMode


def _seconds(value: Any) -> Any:
    """Read ``3`` and ``0.5`` as seconds; ISO 8601 (``PT3S``) and ``00:00:03`` are left to pydantic."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


YEARS = timedelta(days=3653)
"""The longest time that a setting can have: ten years."""
NotNegative = Annotated[timedelta, BeforeValidator(_seconds), Field(ge=timedelta(0), le=YEARS)]
# Three calls have to fit into one activity, which gets PARTNER_TIMEOUT.
Latency = Annotated[timedelta, BeforeValidator(_seconds), Field(ge=timedelta(0), le=timedelta(seconds=4))]
Positive = Annotated[timedelta, BeforeValidator(_seconds), Field(gt=timedelta(0), le=YEARS)]
Rate = Annotated[float, Field(ge=0, le=1)]
STEPS = ("authorize", "capture", "void", "refund", "prepare", "put_back", "dispatch", "track")
"""The steps that partners do, each an activity of that name."""


def _list(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _known_steps(steps: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := sorted(set(steps) - set(STEPS)):
        raise ValueError(f"{unknown[0]} is no step; choose from {', '.join(STEPS)}")
    return steps


def _long_enough(secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if any(len(secret.get_secret_value()) < 16 for secret in secrets):  # noqa: PLR2004
        raise ValueError("a secret has at least 16 characters")
    return secrets


Steps = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_list), AfterValidator(_known_steps)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_list), AfterValidator(_long_enough)]


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

    review_mode: ReviewMode = Field(
        ReviewMode.TIMER,
        alias="REVIEW_MODE",
        description="`timer`: an order goes on after a while unless somebody decides sooner; `required`: it waits for "
        "a person; `off`: it goes on at once",
    )
    review_timeout: NotNegative | None = Field(
        None,
        alias="REVIEW_TIMEOUT",
        description="how long an order stays open for review, before it goes on (`timer`; 3 by default, 0 leaves the "
        "review out) or expires (`required`; P3D by default)",
    )
    review_threshold: int | None = Field(
        None,
        alias="REVIEW_THRESHOLD",
        ge=0,
        description="a person has to decide on an order whose total, in minor units, is above this, in every mode",
    )
    review_threshold_timeout: Positive = Field(
        timedelta(days=3),
        alias="REVIEW_THRESHOLD_TIMEOUT",
        description="how long an order above REVIEW_THRESHOLD waits for a person before it expires, in the modes "
        "`timer` and `off`",
    )
    customer_timeout: Positive = Field(
        timedelta(days=3),
        alias="CUSTOMER_TIMEOUT",
        description="how long an order of which something is short waits for the customer before it expires",
    )
    payment_timeout: Positive = Field(
        timedelta(days=7),
        alias="PAYMENT_TIMEOUT",
        description="how long an order whose payment failed waits for another method before it expires",
    )
    payment_capture: CaptureMode = Field(
        CaptureMode.IMMEDIATE,
        alias="PAYMENT_CAPTURE",
        description="when the money is taken: `immediate`, or `on_dispatch` (until then it is held ready)",
    )
    dispatch_attempts: int = Field(
        3,
        alias="DISPATCH_ATTEMPTS",
        ge=1,
        le=20,
        description="how often a parcel that its carrier refuses is offered before the order fails",
    )
    dispatch_retry_after: Positive = Field(
        timedelta(seconds=10),
        alias="DISPATCH_RETRY_AFTER",
        description="how long after a refusal it is offered again; twice as long after each further one",
    )
    delivery_timeout: Positive = Field(
        timedelta(days=14),
        alias="DELIVERY_TIMEOUT",
        description="how long without news of a parcel on its way the order counts as stuck",
    )
    partner_timeout: Positive = Field(
        timedelta(seconds=15), alias="PARTNER_TIMEOUT", description="how long a partner may take for one answer"
    )
    partner_retry_after: Positive = Field(
        timedelta(seconds=0.5),
        alias="PARTNER_RETRY_AFTER",
        description="how long after a failure a partner is asked again; twice as long after each further one",
    )
    partner_retry_at_most_after: Positive = Field(
        timedelta(minutes=1), alias="PARTNER_RETRY_AT_MOST_AFTER", description="the longest time between two tries"
    )
    stuck_after: Positive = Field(
        timedelta(minutes=5),
        alias="STUCK_AFTER",
        description="how long without an answer of a partner the order counts as stuck; it is tried further",
    )
    max_total: int = Field(
        10_000_000,
        alias="ORDER_MAX_TOTAL",
        gt=0,
        le=2**53,
        description="largest total that the shop takes, in minor units; a larger order is rejected",
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.review_mode is ReviewMode.REQUIRED and self.review_timeout == timedelta(0):
            raise PydanticCustomError(
                "REVIEW_TIMEOUT", "with REVIEW_MODE=required an order would expire at once: give people time"
            )
        if self.stuck_after < self.partner_timeout:
            raise PydanticCustomError("STUCK_AFTER", "must not be shorter than PARTNER_TIMEOUT")
        if self.partner_retry_at_most_after < self.partner_retry_after:
            raise PydanticCustomError("PARTNER_RETRY_AT_MOST_AFTER", "must not be shorter than PARTNER_RETRY_AFTER")
        return self

    def policy(self) -> Policy:
        """Give the rules in the form in which an order carries them."""
        patience = Patience(
            self.partner_timeout, self.partner_retry_after, self.partner_retry_at_most_after, self.stuck_after
        )
        by_mode = timedelta(days=3) if self.review_mode is ReviewMode.REQUIRED else timedelta(seconds=3)
        return Policy(
            review_mode=self.review_mode,
            review_timeout=by_mode if self.review_timeout is None else self.review_timeout,
            review_threshold=self.review_threshold,
            review_threshold_timeout=self.review_threshold_timeout,
            customer_timeout=self.customer_timeout,
            payment_timeout=self.payment_timeout,
            payment_capture=self.payment_capture,
            dispatch_attempts=self.dispatch_attempts,
            dispatch_retry_after=self.dispatch_retry_after,
            delivery_timeout=self.delivery_timeout,
            max_total=self.max_total,
            partners=patience,
        )


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

    payment_provider: Literal["simulated", "stripe"] = Field(
        "simulated", alias="PAYMENT_PROVIDER", description="`simulated` or `stripe` (needs the extra `stripe`)"
    )
    stripe_api_key: SecretStr | None = Field(
        None, alias="STRIPE_API_KEY", description="secret or restricted key, with PAYMENT_PROVIDER=stripe"
    )
    stripe_api_base: str | None = Field(
        None, alias="STRIPE_API_BASE", pattern=r"^https?://", description="another address of Stripe's API, for tests"
    )
    stripe_timeout: Positive = Field(
        timedelta(seconds=3),
        alias="STRIPE_TIMEOUT",
        description="how long one request to Stripe may take; a step takes two to five, for which PARTNER_TIMEOUT has "
        "to have room",
    )
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
    faults_error_rate: Rate = Field(
        0.0,
        alias="FAULTS_ERROR_RATE",
        description="share of the calls of simulated partners that fail, 0 to 1",
    )
    faults_hang_rate: Rate = Field(
        0.0,
        alias="FAULTS_HANG_RATE",
        description="share of them that hang; both together below 1",
    )
    faults_steps: Steps = Field(
        STEPS, alias="FAULTS_STEPS", description="the steps at which they do, with commas between them"
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.payment_provider == "stripe" and self.stripe_api_key is None:
            raise PydanticCustomError("STRIPE_API_KEY", "is needed with PAYMENT_PROVIDER=stripe")
        has_faults = self.faults_error_rate or self.faults_hang_rate
        if has_faults and self.payment_provider != "simulated":
            name = "FAULTS_ERROR_RATE" if self.faults_error_rate else "FAULTS_HANG_RATE"
            raise PydanticCustomError(name, "faults are for PAYMENT_PROVIDER=simulated only")
        if self.faults_error_rate + self.faults_hang_rate >= 1:
            raise PydanticCustomError(
                "FAULTS_ERROR_RATE", "with FAULTS_HANG_RATE it must stay below 1, or nothing ever succeeds"
            )
        return self


class WebhookSettings(Settings):
    """What partners tell by themselves: the API's webhooks."""

    carrier_secrets: Secrets = Field(
        (),
        alias="CARRIER_WEBHOOK_SECRETS",
        description="what carriers sign with, 16 characters or more, with commas between them; without one "
        "`/webhooks/carrier` is closed",
    )
    stripe_secrets: Secrets = Field(
        (),
        alias="STRIPE_WEBHOOK_SECRETS",
        description="Stripe's signing secrets (`whsec_…`), with commas; without one `/webhooks/payments` is closed",
    )
    tolerance: Positive = Field(
        timedelta(minutes=5), alias="WEBHOOK_TOLERANCE", description="how old a signed message may be"
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
    WebhookSettings,
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
        # What two settings have to agree on has no place of its own: its type names the one to change.
        name = first["loc"][0] if first["loc"] else first["type"]
        raise InvalidSetting(f"{name}: {first['msg']}") from error
