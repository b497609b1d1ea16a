"""How an order's life leaves its straight path, and what it answers to those who ask too late."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from orders.contracts import REFUSED
    from orders.model import EventType, Said

TOO_LATE = "the parcel is being handed to the carrier"


class Ending(Exception):
    """The order ends here, otherwise than by being completed; ``by`` None is the lifecycle itself."""

    def __init__(self, event: EventType, reason: str | None, by: Said | None = None) -> None:
        super().__init__(reason)
        self.event, self.reason, self.by = event, reason, by


class PaymentCalledOff(Exception):
    """The money must not be taken, or must come back; the order waits for another payment method."""


def refused(reason: str, kind: str = REFUSED, *details: int) -> ApplicationError:
    """The error with which an update is refused."""
    return ApplicationError(reason, *details, type=kind, non_retryable=True)
