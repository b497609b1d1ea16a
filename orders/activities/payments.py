"""Calls to the payment provider, on the queue ``payments``."""

from __future__ import annotations

from temporalio import activity

from orders.contracts import (
    Authorization,
    Authorize,
    Capture,
    CaptureAnswer,
    Refund,
    RefundAnswer,
    Void,
    VoidAnswer,
)
from orders.ports import PaymentGateway


class PaymentActivities:
    """Passes requests to the payment provider, each with its key."""

    def __init__(self, gateway: PaymentGateway) -> None:
        self._gateway = gateway

    @activity.defn(name="authorize")
    async def authorize(self, request: Authorize) -> Authorization:
        """Hold the money ready, or say why not: a declined card is an answer, not an error to retry."""
        return await self._gateway.authorize(request)

    @activity.defn(name="capture")
    async def capture(self, request: Capture) -> CaptureAnswer:
        """Take the money that is held ready."""
        return await self._gateway.capture(request)

    @activity.defn(name="void")
    async def void(self, request: Void) -> VoidAnswer:
        """Let go what is held ready."""
        return await self._gateway.void(request)

    @activity.defn(name="refund")
    async def refund(self, request: Refund) -> RefundAnswer:
        """Give back what was taken."""
        return await self._gateway.refund(request)
