"""The money of one order, and each thing that was asked of the payment provider."""

# No postponed annotations here: in the workflow sandbox pydantic could not look up what their names stand for.

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orders.errors import InvalidAmount
from orders.model import EventType, PaymentStatus

E = EventType
REQUESTS: Mapping[EventType, str] = {
    E.PAYMENT_REQUESTED: "authorize",
    E.CAPTURE_REQUESTED: "capture",
    E.VOID_REQUESTED: "void",
    E.REFUND_REQUESTED: "refund",
}
"""The events that note a question to the provider, and the kind of operation that it is."""


@dataclass(frozen=True)
class PaymentOperation:
    """One request to the payment provider; ``key`` is what makes asking twice harmless."""

    key: str
    kind: str
    amount: int
    method: str
    status: str = "pending"
    reference: str | None = None
    error: str | None = None


@dataclass
class Payment:
    """The money of one order, in minor units of the order's currency.

    ``authorized`` is what the provider holds ready or has taken under the authorization that is alive.
    """

    status: PaymentStatus = PaymentStatus.UNPAID
    authorized: int = 0
    captured: int = 0
    refunded: int = 0
    operations: list[PaymentOperation] = field(default_factory=list)

    @property
    def held(self) -> int:
        """What the shop has of the customer's money."""
        return self.captured - self.refunded

    def next_key(self, order_id: str, kind: str) -> str:
        """The idempotency key of the next operation of this kind: the same at every replay."""
        number = sum(operation.kind == kind for operation in self.operations) + 1
        return f"{order_id}:{kind}:{number}"

    def take(self, kind: EventType, data: dict[str, Any], method: str) -> None:
        """Enter what an event says about money.

        Raises:
            InvalidAmount: it is negative, more is taken than was authorized, or more comes back than the shop has.
        """
        amount = _not_negative(data.get("amount", 0))
        if operation := REQUESTS.get(kind):
            self._ask(operation, data, method)
            return
        match kind:
            case E.PAYMENT_AUTHORIZED:
                # What an earlier authorization gave has been settled by now, one way or the other.
                self.authorized = self.held + amount
                self._settle(data["key"], status="succeeded", reference=data["reference"])
            case E.PAYMENT_CAPTURED:
                self._capture(amount)
                self._settle(data["key"], status="succeeded", reference=data["reference"])
            case E.PAYMENT_DECLINED:
                self.authorized = self.held
                self._settle(data["key"], status="declined", error=data["reason"])
            case E.VOIDED:
                # The answer to the authorization was lost: what is named here had been taken.
                self.captured += amount
                self.authorized = self.held
                self._settle(data["key"], status="succeeded")
                self._settle(data["authorization"], status="succeeded" if amount else "cancelled")
            case E.REFUNDED:
                self._refund(amount)
                self._settle(data["key"], status="succeeded", reference=data["reference"])
                self._settle(data["authorization"], status="refunded")

    def _capture(self, amount: int) -> None:
        if self.held + amount > self.authorized:
            raise InvalidAmount(f"{amount} can't be taken of {self.authorized} that are authorized")
        self.captured += amount

    def _refund(self, amount: int) -> None:
        if amount > self.held:
            raise InvalidAmount(f"{amount} can't be given back of {self.held}")
        self.refunded += amount
        self.authorized = self.held

    def _ask(self, kind: str, data: dict[str, Any], method: str) -> None:
        self.operations = [*self.operations, PaymentOperation(data["key"], kind, data["amount"], method)]

    def _settle(self, key: str, **outcome: Any) -> None:
        self.operations = [replace(op, **outcome) if op.key == key else op for op in self.operations]


def _not_negative(amount: int) -> int:
    if amount < 0:
        raise InvalidAmount(f"{amount} is negative")
    return amount
