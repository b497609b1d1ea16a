"""What a life is, and those that there are by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeAlias

from orders.policy import Policy
from tests.workflows.conftest import ACCEPTED, BY_PERSON, NO_REVIEW, OrderHandle, Shop

Life: TypeAlias = Callable[[Shop], Awaitable[None]]
LIVES: dict[str, Life] = {}
SHORTLY = timedelta(seconds=0.3)
BY_CLOCK = Policy(review_timeout=SHORTLY)
NOBODY_REVIEWS = replace(BY_PERSON, review_timeout=SHORTLY)
SOON = replace(NO_REVIEW, dispatch_retry_after=SHORTLY)
"""A carrier that has refused a parcel is asked again soon."""


def life(told: Life) -> Life:
    """Take a life in, by its name."""
    LIVES[told.__name__.replace("_", "-")] = told
    return told


async def begun(handle: OrderHandle, update: Any, message: object) -> None:
    """Ask something, and wait only until it is in the history."""
    await handle.start_update(update, message, wait_for_stage=ACCEPTED)
