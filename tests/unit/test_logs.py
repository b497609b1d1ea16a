"""What the logs say, and what they leave out."""

from __future__ import annotations

import logging

import pytest

from orders.errors import DependencyUnavailable
from orders.logs import without_expected_traces


def logged(error: Exception, name: str = "temporalio.activity") -> str:
    """An error as an entry of the log."""
    try:
        raise error
    except type(error) as caught:
        information = (type(caught), caught, caught.__traceback__)
    record = logging.LogRecord(name, logging.WARNING, "f", 1, "%s failed", ("it",), information)
    assert without_expected_traces(record)
    return logging.Formatter("%(message)s").format(record)


def test_what_is_expected_and_tried_again_is_one_line() -> None:
    assert logged(DependencyUnavailable("PostgreSQL", "gone")) == "it failed: PostgreSQL is unavailable: gone"


@pytest.mark.parametrize("name", ["sqlalchemy.pool.impl.QueuePool", "sqlalchemy.pool"])
def test_what_the_pool_says_of_a_lost_connection_is_one_line(name: str) -> None:
    assert logged(ConnectionResetError("reset"), name) == "it failed: reset"


def test_what_is_not_expected_keeps_its_trace() -> None:
    assert "Traceback" in logged(KeyError("x"))
