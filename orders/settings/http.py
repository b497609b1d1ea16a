"""The HTTP service: what it listens to, and whom."""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode

from orders.errors import InvalidSetting
from orders.settings.base import NotNegative, Positive, Secrets, Settings, as_list


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
    codec_origins: Origins = Field(
        (),
        alias="CODEC_ORIGINS",
        description="the origin of Temporal's web page, such as `https://temporal.example.com`, whose readers may have "
        "decrypted in it what is encrypted by ENCRYPTION_KEYS; several with commas; none by default",
    )
    timeout: Positive = Field(
        timedelta(seconds=10),
        alias="API_TIMEOUT",
        description="how long a request may take, but for those that wait for events; keep it below the limit of the "
        "gateway in front. So long may those take that are under way when the process is told to end, by SIGTERM",
    )
    max_waiting: int = Field(
        1000,
        alias="API_MAX_WAITING",
        ge=1,
        description="how many clients may wait for the events of orders at once, in one process",
    )
    max_waiting_each: int | None = Field(
        None,
        alias="API_MAX_WAITING_EACH",
        ge=1,
        description="how many of them one caller may be, by the `sub` of its token, so that none takes every place; "
        "by default half of API_MAX_WAITING; callers without tokens can't be told apart, and have no such limit",
    )
    cursor_secret: SecretStr | None = Field(
        None,
        alias="API_CURSOR_SECRET",
        min_length=16,
        description="what the cursors of lists are signed with, 16 characters or more, the same for every replica; "
        "without one it is the address in DATABASE_URL, which need not be secret",
    )


def _trustworthy(url: str) -> str:
    parts = urlsplit(url)
    if not parts.hostname or (parts.scheme != "https" and not _is_loopback(parts.hostname)):
        raise ValueError("write https://…; http:// is for this machine's own addresses")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class AuthSettings(Settings):
    """Who may ask the API."""

    mode: Literal["none", "jwt", "gateway"] = Field(
        "none",
        alias="AUTH_MODE",
        description="`jwt`: whoever shows a token of AUTH_ISSUER, for what its scopes allow; `none`: anybody, for "
        "everything, which is accepted only where API_HOST is an address of this machine alone; `gateway`, as AWS "
        "Lambda only: whom the gateway's JWT authorizer names, without a look at the token",
    )
    none_i_mean_it: bool = Field(
        default=False,
        alias="AUTH_NONE_I_MEAN_IT",
        description="`true` accepts AUTH_MODE=none on any address: something in front says who may ask",
    )
    issuer: str | None = Field(None, alias="AUTH_ISSUER", description="who makes the tokens: their `iss`, exactly")
    audience: Annotated[tuple[str, ...], NoDecode, BeforeValidator(as_list)] = Field(
        (), alias="AUTH_AUDIENCE", description="for whom they are made: one of their `aud`; several with commas"
    )
    jwks_url: Annotated[str, AfterValidator(_trustworthy)] | None = Field(
        None,
        alias="AUTH_JWKS_URL",
        pattern="^https?://",
        description="where the issuer's public keys are (JWKS), by https; by http on this machine only",
    )
    clock_skew: Annotated[NotNegative, Field(le=timedelta(minutes=5))] = Field(
        timedelta(seconds=30),
        alias="AUTH_CLOCK_SKEW",
        description="how far the issuer's clock may be from this one, at most 5 minutes",
    )
    jwks_refresh: Positive = Field(
        timedelta(minutes=5),
        alias="AUTH_JWKS_REFRESH",
        description="how long keys are kept; they are asked for anew after half of it",
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        needed = {"AUTH_ISSUER": self.issuer, "AUTH_AUDIENCE": self.audience, "AUTH_JWKS_URL": self.jwks_url}
        for name, value in needed.items():
            if self.mode == "jwt" and not value:
                raise PydanticCustomError(name, "is needed with AUTH_MODE=jwt")
        return self

    def for_api_at(self, host: str | None) -> Self:
        """Return these settings if an API that listens on this address can have them; None is an unknown address.

        Raises:
            InvalidSetting: anybody could do anything, or nobody.
        """
        if self.mode == "gateway":
            raise InvalidSetting("AUTH_MODE: gateway is for AWS Lambda, whose gateways say whom they know: set jwt")
        if not (host and _is_loopback(host)):
            unknown = "behind a server whose address API_HOST does not say"
            self._refuse_anybody(f"with API_HOST={host}" if host else unknown)
        return self

    def for_function(self) -> Self:
        """Return these settings if an API behind a gateway of AWS can have them.

        Raises:
            InvalidSetting: anybody could do anything.
        """
        self._refuse_anybody("behind AWS's gateways")
        return self

    def _refuse_anybody(self, where: str) -> None:
        if self.mode == "none" and not self.none_i_mean_it:
            raise InvalidSetting(
                f"AUTH_MODE: none lets anybody do anything {where}: set jwt, or AUTH_NONE_I_MEAN_IT=true as well"
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
