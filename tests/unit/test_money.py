"""Money is exact."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.errors import InvalidAmount, UnknownCurrency
from orders.money import Money


@pytest.mark.parametrize(
    ("value", "currency", "minor"),
    [
        ("99.99", "USD", 9999),
        ("99.9", "USD", 9990),
        ("99.990000", "USD", 9999),
        ("100", "JPY", 100),
        ("1E+2", "JPY", 100),
        ("1.234", "KWD", 1234),
        ("0", "USD", 0),
        ("0.000", "USD", 0),
        ("-5.10", "USD", -510),
    ],
)
def test_a_decimal_amount_is_read_as_minor_units_of_its_currency(value: str, currency: str, minor: int) -> None:
    assert Money.parse(Decimal(value), currency) == Money(minor, currency)


@pytest.mark.parametrize(
    ("value", "currency"),
    [
        ("0.001", "USD"),
        ("1.5", "JPY"),
        ("1.2345", "KWD"),
        ("99.99000000000000000000000000000000000000001", "USD"),
        ("1E-400000", "USD"),
        ("NaN", "USD"),
        ("Infinity", "USD"),
    ],
)
def test_an_amount_that_its_currency_cannot_hold_is_refused(value: str, currency: str) -> None:
    with pytest.raises(InvalidAmount):
        Money.parse(Decimal(value), currency)


@pytest.mark.parametrize("currency", ["ABC", "XXX", "XAU", "usd"])
def test_a_currency_that_nobody_pays_with_is_refused(currency: str) -> None:
    with pytest.raises(UnknownCurrency, match=currency):
        Money.parse(Decimal(1), currency)


@given(st.integers(-(2**53), 2**53), st.sampled_from(["USD", "JPY", "KWD", "CLF"]))
def test_what_is_shown_is_read_as_the_same_amount(amount: int, currency: str) -> None:
    money = Money(amount, currency)
    assert Money.parse(Decimal(str(money)), currency) == money


def test_an_amount_is_shown_with_the_places_of_its_currency() -> None:
    assert [str(Money(amount, "USD")) for amount in (0, 5, 9990)] == ["0.00", "0.05", "99.90"]
    assert str(Money(1500, "JPY")) == "1500"
