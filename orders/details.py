"""What a customer asks for, and what the shop would not take."""

# No postponed annotations here: in the workflow sandbox pydantic could not look up what their names stand for.

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from orders.errors import ImpossibleAmendment
from orders.money import Money


@dataclass(frozen=True)
class Address:
    """Where a parcel goes."""

    street: str
    city: str
    state: str | None = None
    postal_code: str | None = None
    country: str = "US"


@dataclass(frozen=True)
class OrderLine:
    """So many pieces of one article; ``price`` is that of one piece, in minor units."""

    sku: str
    qty: int
    price: int


@dataclass(frozen=True)
class OrderDetails:
    """What a customer asks for."""

    customer_name: str
    customer_email: str
    currency: str
    lines: tuple[OrderLine, ...]
    shipping_address: Address
    payment_method: str = "tok_visa"
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> Money:
        """The sum of all lines."""
        return Money(sum(line.qty * line.price for line in self.lines), self.currency)

    @property
    def quantities(self) -> dict[str, int]:
        """How many pieces of each article all lines ask for."""
        found: dict[str, int] = {}
        for line in self.lines:
            found[line.sku] = found.get(line.sku, 0) + line.qty
        return found

    def amended(self, quantities: Mapping[str, int]) -> Self:
        """The same order with fewer pieces of some articles: 0 drops one, and what is not named stays as it is.

        Raises:
            ImpossibleAmendment: it names an article that was not ordered, asks for more than was, or leaves nothing.
        """
        ordered = self.quantities
        for sku, qty in quantities.items():
            if sku not in ordered:
                raise ImpossibleAmendment(f"{sku} was not ordered")
            if not 0 <= qty <= ordered[sku]:
                raise ImpossibleAmendment(f"{qty} pieces of {sku} are not between 0 and the {ordered[sku]} ordered")
        if all(qty == ordered[sku] for sku, qty in quantities.items()):
            raise ImpossibleAmendment("it asks for as many pieces as before")
        left = {**ordered, **quantities}
        lines = []
        for line in self.lines:
            qty = min(line.qty, left[line.sku])
            left[line.sku] -= qty
            if qty:
                lines.append(replace(line, qty=qty))
        amended = replace(self, lines=tuple(lines))
        if not amended.total.amount:
            raise ImpossibleAmendment("nothing to pay would be left of the order: cancel it instead")
        return amended

    def problems(self, limit: int) -> list[str]:
        """Say why the shop would not take this order; ``limit`` is the largest total, in minor units."""
        found = []
        if not self.lines:
            found.append("the order has no items")
        found += [f"the quantity of {line.sku} is not positive" for line in self.lines if line.qty < 1]
        found += [f"the price of {line.sku} is negative" for line in self.lines if line.price < 0]
        prices: dict[str, int] = {}
        for line in self.lines:
            if prices.setdefault(line.sku, line.price) != line.price:
                found.append(f"{line.sku} is listed at two prices")
        if self.lines and not found and self.total.amount == 0:
            found.append("the total is zero, there is nothing to pay")
        if self.total.amount > limit:
            found.append(f"the total {self.total} {self.currency} is above the limit of {Money(limit, self.currency)}")
        return found
