"""What the shop does not take."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.details import OrderDetails, OrderLine
from orders.errors import ImpossibleAmendment
from tests.examples import DETAILS, TOTAL

LIMIT = 10_000_000


def test_the_total_is_the_sum_of_all_lines() -> None:
    assert DETAILS.total.amount == TOTAL


def test_a_proper_order_has_no_problems() -> None:
    assert DETAILS.problems(LIMIT) == []


def test_an_order_at_the_limit_has_no_problems() -> None:
    assert DETAILS.problems(TOTAL) == []


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ((), "no items"),
        ((OrderLine("A", 0, 100),), "quantity of A"),
        ((OrderLine("A", 1, -100),), "price of A"),
        ((OrderLine("A", 1, 0),), "nothing to pay"),
        ((OrderLine("A", 1, 100), OrderLine("A", 1, 200)), "two prices"),
        ((OrderLine("A", 1, LIMIT + 1),), "above the limit of 100000.00"),
    ],
)
def test_an_order_that_makes_no_sense_has_a_problem_that_says_why(lines: tuple[OrderLine, ...], problem: str) -> None:
    details: OrderDetails = replace(DETAILS, lines=lines)
    assert problem in " ".join(details.problems(LIMIT))


TWICE = replace(DETAILS, lines=(OrderLine("MUG", 2, 1250), OrderLine("ABC123", 1, 9999), OrderLine("MUG", 3, 1250)))


def test_the_quantities_count_all_lines_of_an_article() -> None:
    assert DETAILS.quantities == {"ABC123": 1, "MUG": 2}
    assert TWICE.quantities == {"MUG": 5, "ABC123": 1}


@pytest.mark.parametrize(
    ("quantities", "lines"),
    [
        ({"MUG": 4}, (OrderLine("MUG", 2, 1250), OrderLine("ABC123", 1, 9999), OrderLine("MUG", 2, 1250))),
        ({"MUG": 1}, (OrderLine("MUG", 1, 1250), OrderLine("ABC123", 1, 9999))),
        ({"MUG": 0}, (OrderLine("ABC123", 1, 9999),)),
        ({"MUG": 2, "ABC123": 0}, (OrderLine("MUG", 2, 1250),)),
    ],
)
def test_an_amended_order_takes_the_pieces_from_the_last_lines_and_drops_empty_ones(
    quantities: dict[str, int], lines: tuple[OrderLine, ...]
) -> None:
    assert TWICE.amended(quantities) == replace(TWICE, lines=lines)


@pytest.mark.parametrize(
    ("quantities", "problem"),
    [
        ({"CUP": 1}, "CUP was not ordered"),
        ({"CUP": 0}, "CUP was not ordered"),
        ({"MUG": 6}, "6 pieces of MUG are not between 0 and the 5 ordered"),
        ({"MUG": -1}, "-1 pieces of MUG are not between 0 and the 5 ordered"),
        ({"MUG": 0, "ABC123": 0}, "nothing to pay would be left"),
        ({"MUG": 5}, "as many pieces as before"),
        ({}, "as many pieces as before"),
    ],
)
def test_an_amendment_that_cannot_be_says_why(quantities: dict[str, int], problem: str) -> None:
    with pytest.raises(ImpossibleAmendment, match=problem):
        TWICE.amended(quantities)


def test_an_amendment_that_leaves_only_what_costs_nothing_is_refused() -> None:
    with_gift = replace(DETAILS, lines=(OrderLine("MUG", 1, 1250), OrderLine("GIFT", 1, 0)))
    with pytest.raises(ImpossibleAmendment, match="cancel it instead"):
        with_gift.amended({"MUG": 0})


@given(st.integers(0, 4), st.integers(0, 1))
def test_an_amended_order_has_exactly_the_quantities_asked_for(mugs: int, others: int) -> None:
    asked = {sku: qty for sku, qty in (("MUG", mugs), ("ABC123", others)) if qty}
    if asked:
        amended = TWICE.amended({"MUG": mugs, "ABC123": others})
        assert amended.quantities == asked
        assert amended.total.amount == mugs * 1250 + others * 9999
        assert amended.problems(LIMIT) == []
