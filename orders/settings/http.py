"""The HTTP service: what it listens to, and whom."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from orders.settings.base import Positive, Secrets, Settings, as_list


def _are_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        if not re.fullmatch(r"https?://[^/?#\s*]+", origin):
            raise ValueError(f"{origin} is no origin: write https://shop.example.com, without a path")
    return origins


Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(as_list), AfterValidator(_are_origins)]
"""Origins of web pages (RFC 6454, section 6.1)."""


class ApiSettings(Settings):
    """The HTTP service."""

    host: str = Field("127.0.0.1", alias="API_HOST", min_length=1, description="address that the API listens on")
    port: int = Field(8000, alias="API_PORT", ge=0, le=65535, description="port that the API listens on")
    max_body: int = Field(256 * 1024, alias="API_MAX_BODY", ge=1024, description="largest request body, in bytes")
    max_headers: int = Field(
        16 * 1024, alias="API_MAX_HEADERS", ge=1024, le=64 * 1024, description="most bytes of a request's headers"
    )
    cors_origins: Origins = Field(
        (),
        alias="API_CORS_ORIGINS",
        description="web pages that may call the API from a browser, such as `https://shop.example.com`, with commas "
        "between them; none by default",
    )
    timeout: Positive = Field(
        timedelta(seconds=10),
        alias="API_TIMEOUT",
        description="how long a request may take, but for those that wait for events; keep it below the limit of the "
        "gateway in front",
    )
    max_waiting: int = Field(
        1000,
        alias="API_MAX_WAITING",
        ge=1,
        description="how many clients may wait for the events of orders at once, in one process",
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
