"""The shop's rules: who looks at which order, and for how long."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orders.money import Money
from orders.policy import Policy, Review, ReviewMode

SHORT, LONG = timedelta(seconds=3), timedelta(days=3)
BY_CLOCK = Review(by_person=False, lasts=SHORT)
TIMER = Policy(review_timeout=SHORT)
OFF = Policy(review_mode=ReviewMode.OFF)
REQUIRED = Policy(review_mode=ReviewMode.REQUIRED, review_timeout=timedelta(days=7), review_threshold=100)


def with_threshold(mode: ReviewMode) -> Policy:
    return Policy(
        review_mode=mode, review_timeout=SHORT, review_threshold=100, review_threshold_timeout=timedelta(days=5)
    )


@pytest.mark.parametrize(
    ("policy", "total", "review"),
    [
        (TIMER, 100, BY_CLOCK),
        (Policy(review_timeout=timedelta(0)), 100, None),
        (OFF, 10**9, None),
        (REQUIRED, 1, Review(by_person=True, lasts=timedelta(days=7))),
        (REQUIRED, 101, Review(by_person=True, lasts=timedelta(days=7))),
        (with_threshold(ReviewMode.OFF), 100, None),
        (with_threshold(ReviewMode.OFF), 101, Review(by_person=True, lasts=timedelta(days=5))),
        (with_threshold(ReviewMode.TIMER), 100, BY_CLOCK),
        (with_threshold(ReviewMode.TIMER), 101, Review(by_person=True, lasts=timedelta(days=5))),
        (Policy(review_mode=ReviewMode.OFF, review_threshold=0), 1, Review(by_person=True, lasts=LONG)),
    ],
)
def test_the_rules_say_who_looks_at_an_order(policy: Policy, total: int, review: Review | None) -> None:
    assert policy.review_of(Money(total, "USD")) == review


def test_an_order_is_left_to_the_clock_for_three_seconds_unless_the_shop_says_otherwise() -> None:
    assert Policy().review_of(Money(10**6, "USD")) == BY_CLOCK
