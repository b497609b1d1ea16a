"""Waiting for a dependency that is not there yet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from orders.errors import DependencyUnavailable

T = TypeVar("T")
logger = logging.getLogger(__name__)


async def patiently(attempt: Callable[[], Awaitable[T]], *, longest_wait: float = 15.0) -> T:
    """Repeat until a dependency is there, waiting longer each time, and say what is being waited for."""
    wait = 0.25
    while True:
        try:
            return await attempt()
        except DependencyUnavailable as error:
            logger.warning("waiting for %s, next try in %.2g s (%s)", error.name, wait, error)
        await asyncio.sleep(wait)
        wait = min(wait * 2, longest_wait)
