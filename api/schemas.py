"""What crosses HTTP: the bodies that are taken and given, and how they become the domain's objects."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from email_validator import EmailNotValidError, validate_email
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from orders.details import Address, OrderDetails, OrderLine
from orders.errors import InvalidAmount
from orders.model import Event, Order, OrderStatus, PaymentStatus, ShipmentStatus
from orders.money import Money, exponent_of

MAX_TOTAL = 2**53 - 1
"""The largest total in minor units that every JSON reader can hold exactly (RFC 8259, section 6)."""


_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""What turns the direction of text around: it can make a name look like another one (Unicode TR 36)."""


def _printable(text: str) -> str:
    # PostgreSQL's text can't hold NUL, and no name or address needs another control character or a line of its own.
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in _DIRECTIONS for letter in text):
        raise ValueError("must not contain control characters")
    if text and all(unicodedata.category(letter)[0] in "CZ" for letter in text):
        raise ValueError("must contain something that can be seen")
    return text


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) and value.isascii() else value


def _plain_number(value: Any) -> Any:
    # Decimal takes more than JSON's grammar for numbers: blanks, underscores, the digits of every script.
    if isinstance(value, str) and not re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d{1,9})?", value, re.ASCII):
        raise ValueError("must be a decimal number such as 99.99")
    return value


def _email(text: str) -> str:
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise ValueError(f"must be an email address: {error}") from error


NoControls = AfterValidator(_printable)
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), NoControls]
PostalCode = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20), NoControls]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), NoControls]
Sku = Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
PaymentMethod = Annotated[str, StringConstraints(max_length=255, pattern=r"^[A-Za-z0-9_-]+$")]
Country = Annotated[str, BeforeValidator(_upper), StringConstraints(pattern=r"^[A-Z]{2}$")]
Currency = Annotated[str, BeforeValidator(_upper), StringConstraints(pattern=r"^[A-Z]{3}$")]
Price = Annotated[Decimal, BeforeValidator(_plain_number), Field(ge=0, le=10**9, allow_inf_nan=False)]
MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=40), NoControls]
MetadataValue = Annotated[str, StringConstraints(max_length=500), NoControls]


class Body(BaseModel):
    """A request body: an unknown field is an error, not something to drop in silence."""

    model_config = ConfigDict(extra="forbid")


class AddressBody(Body):
    """A postal address."""

    street: Name = Field(examples=["123 Main St"])
    city: Name = Field(examples=["Anytown"])
    state: Name | None = Field(default=None, examples=["CA"])
    postal_code: PostalCode | None = Field(default=None, examples=["90210"])
    country: Country = Field(default="US", description="ISO 3166-1 alpha-2", examples=["US"])

    def address(self) -> Address:
        """Give the domain's address."""
        return Address(self.street, self.city, self.state, self.postal_code, self.country)


class ItemBody(Body):
    """So many pieces of one article, at the price of one piece."""

    sku: Sku = Field(examples=["ABC123"])
    qty: Annotated[int, Field(strict=True, ge=1, le=100_000, examples=[1])]
    price: Annotated[
        Decimal, BeforeValidator(_plain_number), Field(ge=0, le=10**9, allow_inf_nan=False, examples=[99.99])
    ]


class OrderBody(Body):
    """An order to place."""

    customer_name: Name = Field(examples=["John Doe"])
    customer_email: Annotated[str, Field(max_length=254, examples=["john@example.com"]), AfterValidator(_email)]
    items: Annotated[list[ItemBody], Field(min_length=1, max_length=500)]
    shipping_address: AddressBody
    currency: Currency = Field(default="USD", description="ISO 4217", examples=["USD"])
    payment_method: PaymentMethod = Field(default="tok_visa", examples=["tok_visa"])
    metadata: Annotated[dict[MetadataKey, MetadataValue], Field(max_length=50)] = Field(
        default_factory=dict, description="Up to 50 values of your own", examples=[{"campaign": "spring"}]
    )

    def details(self) -> OrderDetails:
        """Give the domain's order.

        Raises:
            RequestValidationError: the currency is unknown, a price has more decimals than it, or the sum is too large.
        """
        if problems := list(self._money_problems()):
            raise RequestValidationError(problems)
        return OrderDetails(
            customer_name=self.customer_name,
            customer_email=self.customer_email,
            currency=self.currency,
            lines=tuple(
                OrderLine(item.sku, item.qty, Money.parse(item.price, self.currency).amount) for item in self.items
            ),
            shipping_address=self.shipping_address.address(),
            payment_method=self.payment_method,
            metadata=self.metadata,
        )

    def _money_problems(self) -> Iterator[dict[str, Any]]:
        try:
            exponent_of(self.currency)
        except InvalidAmount as error:
            yield _problem(str(error), "currency")
            return
        total = 0
        for number, item in enumerate(self.items):
            try:
                total += item.qty * Money.parse(item.price, self.currency).amount
            except InvalidAmount as error:
                yield _problem(str(error), "items", number, "price")
        if total > MAX_TOTAL:
            yield _problem(f"the total is above {Money(MAX_TOTAL, self.currency)} {self.currency}", "items")


def _problem(message: str, *where: str | int) -> dict[str, Any]:
    return {"type": "value_error", "loc": ("body", *where), "msg": message}


class CancelBody(Body):
    """Why something is cancelled."""

    reason: Reason | None = Field(default=None, examples=["ordered twice"])


class RetryPaymentBody(Body):
    """Another payment method."""

    payment_method: PaymentMethod = Field(examples=["tok_mastercard"])


class AddressView(BaseModel):
    """A postal address."""

    street: str
    city: str
    state: str | None
    postal_code: str | None
    country: str


class ItemView(BaseModel):
    """So many pieces of one article; ``price`` is that of one piece."""

    sku: str
    qty: int
    price: str = Field(examples=["99.99"])


class PaymentView(BaseModel):
    """The money of an order; what the shop holds is ``captured`` less ``refunded``."""

    status: PaymentStatus
    amount: str = Field(examples=["99.99"])
    captured: str = Field(examples=["99.99"])
    refunded: str = Field(examples=["0.00"])


class ShipmentView(BaseModel):
    """A parcel."""

    id: str
    status: ShipmentStatus
    carrier: str | None
    tracking_number: str | None


class OrderView(BaseModel):
    """An order as it stands."""

    id: str
    status: OrderStatus
    version: int = Field(description="grows with each event")
    customer_name: str
    customer_email: str
    items: list[ItemView]
    currency: str
    total: str = Field(examples=["99.99"])
    shipping_address: AddressView
    payment_method: str
    payment: PaymentView
    shipments: list[ShipmentView]
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, order: Order) -> OrderView:
        """Show an order; every amount is a decimal string with the places of its currency."""
        details, payment = order.details, order.payment

        def money(amount: int) -> str:
            return str(Money(amount, details.currency))

        address = details.shipping_address
        return cls(
            id=order.id,
            status=order.status,
            version=order.version,
            customer_name=details.customer_name,
            customer_email=details.customer_email,
            items=[ItemView(sku=line.sku, qty=line.qty, price=money(line.price)) for line in details.lines],
            currency=details.currency,
            total=str(details.total),
            shipping_address=AddressView(
                street=address.street,
                city=address.city,
                state=address.state,
                postal_code=address.postal_code,
                country=address.country,
            ),
            payment_method=details.payment_method,
            payment=PaymentView(
                status=payment.status,
                amount=str(details.total),
                captured=money(payment.captured),
                refunded=money(payment.refunded),
            ),
            shipments=[
                ShipmentView(id=each.id, status=each.status, carrier=each.carrier, tracking_number=each.tracking_number)
                for each in order.shipments
            ],
            metadata=details.metadata,
            created_at=order.created_at,
            updated_at=order.updated_at,
        )


class EventView(BaseModel):
    """One line of the audit trail."""

    seq: int = Field(description="from 1, without gaps")
    type: str
    at: datetime
    actor: str
    data: dict[str, Any]

    @classmethod
    def of(cls, event: Event) -> EventView:
        """Show an event, with its amounts as decimal strings."""
        data = dict(event.data)
        if currency := data.get("currency"):
            if "amount" in data:
                data["amount"] = str(Money(data["amount"], currency))
            if lines := data.pop("lines", None):
                data["items"] = [{**line, "price": str(Money(line["price"], currency))} for line in lines]
        return cls(seq=event.seq, type=event.type, at=event.at, actor=event.actor, data=data)


class EventList(BaseModel):
    """A stretch of the audit trail, oldest first."""

    data: list[EventView]
    next: str | None = Field(default=None, description="where to go on; null when nothing is left")


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    pointer: str = Field(description="JSON pointer (RFC 6901) into the body", examples=["#/items/0/qty"])
    detail: str = Field(examples=["Input should be greater than or equal to 1"])


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(examples=["urn:order-lifecycle:problem:validation"])
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | None = None


class Health(BaseModel):
    """Whether the service can work."""

    status: str = Field(examples=["ok"])
