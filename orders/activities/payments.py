"""Calls to the payment provider, on the queue ``payments``."""

from __future__ import annotations

from temporalio import activity

from orders.contracts import Charge, ChargeAnswer, Refund, RefundAnswer
from orders.ports import PaymentGateway


class PaymentActivities:
    """Passes requests to the payment provider, each with its key."""

    def __init__(self, gateway: PaymentGateway) -> None:
        self._gateway = gateway

    @activity.defn(name="charge")
    async def charge(self, charge: Charge) -> ChargeAnswer:
        """Take the money, or say why not: a declined card is an answer, not an error to retry."""
        return await self._gateway.charge(charge)

    @activity.defn(name="refund")
    async def refund(self, refund: Refund) -> RefundAnswer:
        """Give back whatever was taken."""
        return await self._gateway.refund(refund)
