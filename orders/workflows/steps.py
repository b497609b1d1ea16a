"""How the workflows' steps behave when a step fails or somebody changes their mind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from orders.errors import PartnerMisuse, sayable
    from orders.policy import Patience

T = TypeVar("T")
Argument = TypeVar("Argument")

LONGEST_PATIENCE = timedelta(hours=1)
"""How long at most one activity goes on trying before the next one takes over: what an operator has mended meanwhile
is noticed, and a partner that is away for weeks costs a few events an hour."""


@dataclass(frozen=True)
class Partner:
    """Somebody outside, reached through a task queue, who may be slow or away.

    No call is ever given up. One that has had no answer for ``patience.stuck_after`` is reported, and goes on.
    """

    queue: str
    patience: Patience
    report: Callable[[str], Awaitable[None]]

    async def ask(self, activity: Callable[[Any, Argument], Awaitable[T]], argument: Argument) -> T:
        """Ask until there is an answer; the partner knows a repeated question by its key."""
        patience = self.patience.stuck_after
        is_reported = False
        while True:
            try:
                return await self._ask_for(patience, activity, argument)
            except ActivityError as error:
                if is_cancelled_exception(error):
                    raise
                reason = f"{activity.__name__}: {_reason(error)}"
                is_misuse = isinstance(error.cause, ApplicationError) and error.cause.type == PartnerMisuse.__name__
            if not is_reported:
                is_reported = True
                await self.report(reason)
            if is_misuse:
                # It was not tried again, and would be refused at once as long as nobody has mended it.
                await workflow.sleep(self.patience.retry_at_most_after)
            patience = max(patience, min(2 * patience, LONGEST_PATIENCE))

    async def ask_once(
        self, activity: Callable[[Any, Argument], Awaitable[T]], argument: Argument, patience: timedelta
    ) -> T | None:
        """Ask for so long; None if there is no answer by then."""
        try:
            return await self._ask_for(max(patience, self.patience.timeout), activity, argument)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return None

    async def _ask_for(
        self, patience: timedelta, activity: Callable[[Any, Argument], Awaitable[T]], argument: Argument
    ) -> T:
        answer: T = await workflow.execute_activity_method(
            activity,
            argument,
            task_queue=self.queue,
            start_to_close_timeout=self.patience.timeout,
            schedule_to_close_timeout=patience,
            retry_policy=RetryPolicy(
                initial_interval=self.patience.retry_after,
                maximum_interval=self.patience.retry_at_most_after,
                non_retryable_error_types=[PartnerMisuse.__name__],
            ),
        )
        return answer


def _reason(error: BaseException) -> str:
    """What the innermost error says that a partner's adapter raised; none was raised where nobody answered."""
    reason = "no answer"
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, ApplicationError):
            reason = sayable(cause.type, cause.message)
        cause = cause.__cause__
    return reason


async def undisturbed(story: Coroutine[Any, Any, T], on_cancel: Callable[[], Coroutine[Any, Any, None]]) -> T:
    """Run a workflow's story to its end; Temporal's own cancellation only calls ``on_cancel``, as a message would."""
    task = asyncio.create_task(story)
    reactions = []
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                reactions.append(asyncio.create_task(on_cancel()))
    for reaction in reactions:
        await reaction
    return task.result()


async def until(stop: Callable[[], bool], step: Coroutine[Any, Any, T]) -> T | None:
    """Return what the step gives, or None after having called it off because ``stop`` came true first.

    What a step that was called off has done is unknown: undo it in a way that bears both.
    """
    task = asyncio.create_task(step)
    await workflow.wait_condition(lambda: task.done() or stop())
    if not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return None
    return task.result()
