"""Faults on demand: simulated partners that fail or hang at some of their steps."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from orders.errors import PartnerUnavailable
from orders.settings import PartnerSettings

MARGIN = 2.0
"""How many seconds longer than it may take a call hangs, so that a busy server has noticed it by then."""


class Faults(Interceptor):
    """Lets a share of the calls at each step fail, and another share hang until they are timed out.

    Half of either do so before the partner has done anything, half after it has done all of it: an answer lost.
    """

    def __init__(self, settings: PartnerSettings) -> None:
        self._settings = settings

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Stand between the worker and its activities."""
        return _FaultyActivity(next, self._settings)


class _FaultyActivity(ActivityInboundInterceptor):
    def __init__(self, inner: ActivityInboundInterceptor, settings: PartnerSettings) -> None:
        super().__init__(inner)
        self._settings = settings

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        step = activity.info().activity_type
        if step not in self._settings.faults_steps:
            return await self.next.execute_activity(input)
        draw = random.random()  # noqa: S311 - a fault need not be hard to guess
        is_late = random.random() < 0.5  # noqa: S311, PLR2004 - likewise
        is_faulty = draw < self._settings.faults_error_rate + self._settings.faults_hang_rate
        if is_faulty and not is_late:
            await self._fail(step, draw)
        answer = await self.next.execute_activity(input)
        if is_faulty:
            await self._fail(step, draw)
        return answer

    async def _fail(self, step: str, draw: float) -> None:
        if draw < self._settings.faults_error_rate:
            raise PartnerUnavailable(f"{step} failed on demand (FAULTS_ERROR_RATE)")
        # Longer than the step may take: Temporal gives it up, and nobody hears of this call any more.
        timeout = activity.info().start_to_close_timeout
        await asyncio.sleep(timeout.total_seconds() + MARGIN if timeout else 60)
        raise PartnerUnavailable(f"{step} hung on demand (FAULTS_HANG_RATE)")
