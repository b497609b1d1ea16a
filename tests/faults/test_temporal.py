"""What the workflows of a system at rest may not be like."""

from __future__ import annotations

import pytest

from tests.faults.temporal import Running, complaints


@pytest.mark.parametrize(
    ("running", "expected"),
    [
        ([Running("order:a", tries=1, attempts=2)], []),
        (
            [Running("order:a"), Running("shipping:b:1")],
            ["b: temporal: shipping:b:1 runs, and the order is at its end"],
        ),
        ([], ["a: temporal: order:a doesn't run, and the order is open"]),
        ([Running("order:a", tries=9)], ["a: temporal: a task of order:a is tried for the 9th time"]),
        ([Running("order:a", attempts=99)], ["a: temporal: an activity of order:a is tried for the 99th time"]),
    ],
)
def test_what_runs_and_what_is_open_are_the_same_and_get_on(running: list[Running], expected: list[str]) -> None:
    assert complaints(running, ["order:a"]) == expected
