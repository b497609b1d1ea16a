"""Which door the tests of the API go through: that of the container, or that of the function."""

from __future__ import annotations

from collections.abc import Sequence

from tests.function.events import GATEWAYS, Gateway

CONTAINER, FUNCTION = "container", "lambda"
DOORS = (CONTAINER, FUNCTION, *GATEWAYS)
"""What ``--door`` takes: ``lambda`` is all gateways in turn, and the name of one that one alone."""
_opened = CONTAINER


def open_door(name: str) -> None:
    """Have the requests of this process's tests go through this one."""
    global _opened  # noqa: PLW0603
    _opened = name


def is_function() -> bool:
    """Whether requests go to functions."""
    return _opened != CONTAINER


def gateways() -> Sequence[Gateway]:
    """Those that the open door has."""
    return [*GATEWAYS.values()] if _opened == FUNCTION else [GATEWAYS[_opened]]
