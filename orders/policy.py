"""The shop's rules. They are stamped on an order when it is placed: an order lives by the rules it was placed under."""

# No postponed annotations here: in the workflow sandbox pydantic could not look up what their names stand for.

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from orders.money import Money


class ReviewMode(StrEnum):
    """Who looks at an order before it goes on."""

    TIMER = "timer"
    REQUIRED = "required"
    OFF = "off"


class CaptureMode(StrEnum):
    """When money that is held ready is taken."""

    IMMEDIATE = "immediate"
    ON_DISPATCH = "on_dispatch"


@dataclass(frozen=True)
class Patience:
    """How long partners may take: for one answer, between two tries, and until the order counts as stuck."""

    timeout: timedelta = timedelta(seconds=15)
    retry_after: timedelta = timedelta(milliseconds=500)
    retry_at_most_after: timedelta = timedelta(minutes=1)
    stuck_after: timedelta = timedelta(minutes=5)


@dataclass(frozen=True)
class Review:
    """What kind of review an order gets, and how long it lasts."""

    by_person: bool
    lasts: timedelta


@dataclass(frozen=True)
class Policy:
    """The rules; amounts are in minor units of the order's own currency."""

    review_mode: ReviewMode = ReviewMode.TIMER
    review_timeout: timedelta = timedelta(seconds=3)
    review_threshold: int | None = None
    review_threshold_timeout: timedelta = timedelta(days=3)
    customer_timeout: timedelta = timedelta(days=3)
    payment_timeout: timedelta = timedelta(days=7)
    payment_capture: CaptureMode = CaptureMode.IMMEDIATE
    dispatch_attempts: int = 3
    dispatch_retry_after: timedelta = timedelta(seconds=10)
    delivery_timeout: timedelta = timedelta(days=14)
    max_total: int = 10_000_000
    partners: Patience = field(default_factory=Patience)

    def review_of(self, total: Money) -> Review | None:
        """Say what review an order of this total gets; None lets it go on at once."""
        if self.review_mode is ReviewMode.REQUIRED:
            return Review(by_person=True, lasts=self.review_timeout)
        if self.review_threshold is not None and total.amount > self.review_threshold:
            return Review(by_person=True, lasts=self.review_threshold_timeout)
        if self.review_mode is ReviewMode.TIMER and self.review_timeout:
            return Review(by_person=False, lasts=self.review_timeout)
        return None
