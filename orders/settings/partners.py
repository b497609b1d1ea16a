"""The payment provider, the warehouse and the carriers."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode

from orders.settings.base import Latency, NotNegative, Positive, Rate, Settings, as_list

STEPS = ("authorize", "capture", "void", "refund", "prepare", "put_back", "dispatch", "track")
"""The steps that partners do, each an activity of that name."""


def _known_steps(steps: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := sorted(set(steps) - set(STEPS)):
        raise ValueError(f"{unknown[0]} is no step; choose from {', '.join(STEPS)}")
    return steps


Steps = Annotated[tuple[str, ...], NoDecode, BeforeValidator(as_list), AfterValidator(_known_steps)]


class PartnerSettings(Settings):
    """The payment provider, the warehouse and the carriers."""

    payment_provider: Literal["simulated", "stripe"] = Field(
        "simulated", alias="PAYMENT_PROVIDER", description="`simulated` or `stripe`"
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
