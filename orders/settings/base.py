"""What all settings have in common, and the types of their values."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


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


def as_list(value: Any) -> Any:
    """Read what is written with commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _long_enough(secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if any(len(secret.get_secret_value()) < 16 for secret in secrets):  # noqa: PLR2004
        raise ValueError("a secret has at least 16 characters")
    return secrets


Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(as_list), AfterValidator(_long_enough)]


def possible_port(address: str) -> str:
    """Let pass an address whose port there can be.

    Raises:
        ValueError: there can't.
    """
    if int(address.rpartition(":")[2]) > 65535:  # noqa: PLR2004
        raise ValueError("the port is above 65535")
    return address


class Settings(BaseSettings):
    """What all settings have in common: names without regard to case, and an empty value means the default."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True, hide_input_in_errors=True
    )
