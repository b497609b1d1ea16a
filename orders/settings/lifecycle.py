"""The shop's rules."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from orders.policy import CaptureMode, Patience, Policy, ReviewMode
from orders.settings.base import NotNegative, Positive, Settings


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
