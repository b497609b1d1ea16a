"""What the shop does not take."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orders.details import OrderDetails, OrderLine
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
