"""The HTTP service: what it listens to, and whom."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field, SecretStr

from orders.settings.base import Positive, Secrets, Settings


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
    cursor_secret: SecretStr | None = Field(
        None,
        alias="API_CURSOR_SECRET",
        min_length=16,
        description="what the cursors of lists are signed with, 16 characters or more, the same for every replica; "
        "without one it is made from DATABASE_URL",
    )


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
