"""Money: integer minor units and a currency of ISO 4217 (the ``iso4217`` package's copy of the standard)."""

# No postponed annotations here: in the workflow sandbox pydantic could not look up what their names stand for.

from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Self

from iso4217 import Currency

from orders.errors import InvalidAmount, UnknownCurrency


@cache
def exponent_of(currency: str) -> int:
    """Return how many decimal places a currency has: 2 for USD, 0 for JPY, 3 for KWD.

    Raises:
        UnknownCurrency: it is not an ISO 4217 code, or one that nobody pays with (XAU, XXX).
    """
    try:
        exponent = Currency(currency).exponent
    except ValueError:
        exponent = None
    if exponent is None:
        raise UnknownCurrency(currency)
    return exponent


PLACES: dict[int, list[str]] = {
    places: sorted(each.code for each in Currency if each.exponent == places)
    for places in sorted({each.exponent for each in Currency if each.exponent is not None})
}
"""The currencies that one can pay with, by how many decimal places they have."""


@dataclass(frozen=True)
class Money:
    """An amount in minor units (cents, yen, fils) and its ISO 4217 currency."""

    amount: int
    currency: str

    @classmethod
    def parse(cls, value: Decimal, currency: str) -> Self:
        """Read a decimal amount exactly.

        Raises:
            UnknownCurrency: the currency is not an ISO 4217 code in use.
            InvalidAmount: the value has more decimals than the currency, or is no finite number.
        """
        exponent = exponent_of(currency)
        if not value.is_finite():
            raise InvalidAmount(f"{value} is not an amount")
        if not value:
            return cls(0, currency)
        # Digit by digit, since decimal's own arithmetic rounds to 28 digits.
        sign, digits, power = value.as_tuple()
        assert isinstance(power, int)
        written = "".join(map(str, digits)) + "0" * max(0, power + exponent)
        beyond = max(0, -(power + exponent))
        minor, rest = (written[:-beyond], written[-beyond:]) if beyond else (written, "")
        if rest.strip("0"):
            raise InvalidAmount(f"{currency} has {exponent} decimal places, {value} has more")
        return cls(int(minor or "0") * (-1 if sign else 1), currency)

    def __str__(self) -> str:
        """The amount as a decimal string, with exactly as many places as the currency has."""
        exponent = exponent_of(self.currency)
        return f"{Decimal(self.amount).scaleb(-exponent):.{exponent}f}"
