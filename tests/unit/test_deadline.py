"""How long what is being done may still take."""

from __future__ import annotations

import time
from datetime import timedelta

from orders.deadline import is_over, remaining, within

DAY = timedelta(days=1)


def test_what_is_done_without_a_deadline_has_all_its_time() -> None:
    assert remaining(DAY) == DAY
    assert not is_over()


def test_a_deadline_that_is_prolonged_leaves_more_time() -> None:
    with within(timedelta(seconds=10)) as deadline:
        assert timedelta(seconds=9) < remaining(DAY) <= timedelta(seconds=10)
        deadline.prolong(timedelta(seconds=10))
        assert timedelta(seconds=19) < remaining(DAY) <= timedelta(seconds=20)
        deadline.prolong(None)
        assert remaining(DAY) == DAY


def test_it_is_prolonged_no_further_than_those_wait_who_ask() -> None:
    with within(timedelta(seconds=10), latest=time.monotonic() + 15) as deadline:
        for more in (timedelta(seconds=60), None):
            deadline.prolong(more)
            assert timedelta(seconds=14) < remaining(DAY) <= timedelta(seconds=15)
    with within(timedelta(seconds=10), latest=time.monotonic() - 1):
        assert is_over()
        assert remaining(DAY) > timedelta(0)
