"""The bodies that the API takes, and how they become the domain's objects."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from email_validator import EmailNotValidError, validate_email
from fastapi.exceptions import RequestValidationError
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    JsonValue,
    StrictBool,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core.core_schema import CoreSchema, no_info_after_validator_function

from orders.contracts import CarrierEvent, PaymentNotice
from orders.details import Address, OrderDetails, OrderLine
from orders.errors import InvalidAmount
from orders.model import STRIPE, ShipmentStatus
from orders.money import PLACES, Money, exponent_of

MAX_TOTAL = 2**63 - 1
"""The largest total in minor units that the ledger can hold; what the shop takes is ORDER_MAX_TOTAL."""
MOST_DIGITS = 20
"""No whole number here has as many digits."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
# PostgreSQL's text can't hold NUL, and no name or address needs another control character or a line of its own. What
# turns the direction of text around can make a name look like another one (Unicode TR 36).
_FORBIDDEN = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
_INVISIBLE = (
    r"\x20\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u202f\u205f-\u2065"
    r"\u206a-\u206f\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
)
"""Blanks, and what has no shape of its own (Unicode, Default_Ignorable_Code_Point)."""
_VISIBLE = r"^[\x21-\x7e]+$"
_DECIMAL = r"^[0-9]{1,10}(\.[0-9]{1,10})?$"
_LINE, _VISIBLE_LINE = rf"^[^{_FORBIDDEN}]*$", rf"^[^{_FORBIDDEN}]*[^{_FORBIDDEN}{_INVISIBLE}][^{_FORBIDDEN}]*$"


@dataclass(frozen=True)
class Matching:
    """A text of this form, with a sentence for those that have another; the form stands in the OpenAPI document."""

    pattern: str
    otherwise: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Look at the text once it is one."""
        return no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Say which form it has to have."""
        return {**handler(schema), "pattern": self.pattern}

    def _check(self, text: str) -> str:
        if not re.fullmatch(self.pattern, text):
            raise ValueError(self.otherwise)
        return text


Line = Matching(_LINE, "must not contain control characters")
VisibleLine = Matching(_VISIBLE_LINE, "must contain something that can be seen, and no control characters")


def _whole(value: Any) -> Any:
    # To JSON 1.0 is the same number as 1 (JSON Schema, 6.1.1, "type"); but 1e99999999 is not to be written out.
    is_whole = isinstance(value, Decimal) and value.adjusted() < MOST_DIGITS and value == value.to_integral_value()
    return int(value) if is_whole else value


def _plain_number(value: Any) -> Any:
    # Decimal takes more than JSON's grammar for numbers: blanks, underscores, the digits of every script.
    if isinstance(value, str) and not re.fullmatch(_DECIMAL, value):
        raise ValueError("must be a decimal number such as 99.99")
    return value


def _price_schema(places: int) -> dict[str, Any]:
    """Describe a price with so many decimal places at most."""
    number = {"type": "number", "minimum": 0, "maximum": 10**9, "multipleOf": float(f"1e-{places}")}
    text = {"type": "string", "pattern": r"^[0-9]{1,9}" + (rf"(\.[0-9]{{1,{places}}})?$" if places else "$")}
    return {"anyOf": [number, text]}


def _email(text: str) -> str:
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise ValueError(f"must be an email address: {error}") from error


def _visible(text: str) -> str:
    if not re.fullmatch(_VISIBLE, text):
        raise ValueError("must have visible ASCII characters alone")
    return text


def _lately(at: datetime) -> datetime:
    if not EARLIEST <= at <= datetime.now(UTC) + timedelta(days=1):
        raise ValueError(f"must be between {EARLIEST:%Y-%m-%d} and tomorrow")
    return at


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), VisibleLine]
PostalCode = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20), VisibleLine]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), VisibleLine]
Sku = Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
PaymentMethod = Annotated[str, StringConstraints(max_length=255, pattern=r"^[A-Za-z0-9_-]+$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2}$", to_upper=True)]
Currency = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z]{3}$", to_upper=True),
    WithJsonSchema({"type": "string", "enum": sorted(code for codes in PLACES.values() for code in codes)}),
]
Email = Annotated[str, Field(max_length=254, json_schema_extra={"format": "email"}), AfterValidator(_email)]
Price = Annotated[
    Decimal,
    Field(ge=0, le=10**9, allow_inf_nan=False),
    BeforeValidator(_plain_number),
    WithJsonSchema(_price_schema(max(PLACES))),
]
MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=40), VisibleLine]
MetadataValue = Annotated[str, StringConstraints(max_length=500), Line]


def _places_of_currencies() -> list[JsonValue]:
    """Describe how many decimal places each currency has."""

    def places_of(currencies: list[str], places: int) -> Any:
        price = {"properties": {"price": _price_schema(places)}}
        named = {"properties": {"currency": {"enum": currencies}}}
        return {"if": named, "then": {"properties": {"items": {"items": price}}}}

    return [places_of(currencies, places) for places, currencies in sorted(PLACES.items())]


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
    qty: Annotated[int, Field(strict=True, ge=1, le=100_000, examples=[1]), BeforeValidator(_whole)]
    price: Price = Field(examples=[99.99])


class OrderBody(Body):
    """An order to place."""

    model_config = ConfigDict(json_schema_extra={"allOf": _places_of_currencies()})

    customer_name: Name = Field(examples=["John Doe"])
    customer_email: Email = Field(examples=["john@example.com"])
    items: Annotated[list[ItemBody], Field(min_length=1, max_length=500)]
    shipping_address: AddressBody
    currency: Currency = Field(default="USD", description="ISO 4217", examples=["USD"])
    payment_method: PaymentMethod = Field(default="tok_visa", examples=["tok_visa"])
    metadata: Annotated[dict[MetadataKey, MetadataValue], Field(max_length=50)] = Field(
        default_factory=dict,
        description="Up to 50 values of your own",
        examples=[{"campaign": "spring"}],
        json_schema_extra={"additionalProperties": False},
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


class ReviewBody(Body):
    """A decision on an order in review."""

    decision: Literal["approve", "reject"]
    note: Reason | None = Field(default=None, examples=["known customer"])


class AmendedItemBody(Body):
    """So many pieces of an article as the order shall still have; 0 drops it."""

    sku: Sku = Field(examples=["ABC123"])
    qty: Annotated[int, Field(strict=True, ge=0, le=100_000_000, examples=[1]), BeforeValidator(_whole)]


_NEW_QUANTITIES: JsonValue = {
    "required": ["items"],
    "properties": {"items": {"type": "array"}, "take_available": {"const": False}},
}
_WHAT_THERE_IS: JsonValue = {
    "required": ["take_available"],
    "properties": {"items": {"type": "null"}, "take_available": {"const": True}},
}


class AmendBody(Body):
    """The answer to a shortage: ``items`` with new quantities, or ``take_available`` for as many as there are."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [_NEW_QUANTITIES, _WHAT_THERE_IS]})

    items: Annotated[list[AmendedItemBody], Field(min_length=1, max_length=500)] | None = None
    take_available: StrictBool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.items) is self.take_available:
            raise ValueError('write either "items" or "take_available": true')
        return self

    def quantities(self) -> dict[str, int] | None:
        """Give the new quantities by article, or None to take what there is; those of one article add up."""
        if self.items is None:
            return None
        found: Counter[str] = Counter()
        for item in self.items:
            found[item.sku] += item.qty
        return dict(found)


class CarrierEventBody(Body):
    """What a carrier tells of a parcel; ``id`` is the same however often it is told."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=_VISIBLE)] = Field(examples=["evt_1"])
    shipment: Annotated[str, StringConstraints(max_length=64)] = Field(
        description="our reference on the label: the id of the shipment", examples=["ord_5f0c3d9a2b7e4f6a8c1d0e2f:1"]
    )
    status: Literal["in_transit", "delivered", "lost", "returned"]
    at: Annotated[AwareDatetime, AfterValidator(_lately)] = Field(
        description="when it happened", examples=["2026-01-02T03:04:05Z"]
    )
    note: Reason | None = Field(default=None, examples=["left with a neighbour"])

    def event(self, trace_id: str | None) -> CarrierEvent:
        """Give the domain's event."""
        return CarrierEvent(self.id, ShipmentStatus(self.status), self.at, self.note, trace_id=trace_id)


_PROBLEMS = {
    "charge.dispute.created": "the customer disputes the payment",
    "refund.failed": "the refund has failed at the customer's bank",
}
"""What Stripe's news mean for an order that needs somebody (Stripe's manual, "Types of events")."""


class StripeEventBody(BaseModel):
    """An event of Stripe's, as far as it is looked at; it has more fields."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_visible)]
    type: Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_visible)]
    data: dict[str, Any]

    @property
    def order_id(self) -> str | None:
        """The order that our own requests have put into the object's metadata."""
        metadata = self._object.get("metadata")
        found = metadata.get("order_id") if isinstance(metadata, dict) else None
        return found if isinstance(found, str) else None

    @property
    def payment(self) -> str | None:
        """The PaymentIntent that it is about: a dispute, say, has none of our metadata, but this."""
        return self._id("payment_intent")

    def notice(self, trace_id: str | None) -> PaymentNotice:
        """Give the domain's notice."""
        problem = _PROBLEMS.get(self.type)
        if self.type == "charge.refund.updated" and self._object.get("status") == "failed":
            problem = _PROBLEMS["refund.failed"]
        return PaymentNotice(self.id, self.type, self._id("id") or "", problem, STRIPE, trace_id)

    def _id(self, name: str) -> str | None:
        """Give an id in the object, if it is one; PostgreSQL could not hold every text."""
        found = self._object.get(name)
        return found[:255] if isinstance(found, str) and re.fullmatch(_VISIBLE, found) else None

    @property
    def _object(self) -> dict[str, Any]:
        found = self.data.get("object")
        return found if isinstance(found, dict) else {}
