"""How the workflows' steps behave when a step fails or somebody changes their mind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypedDict, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from orders.errors import StaleWrite

T = TypeVar("T")


class StepOptions(TypedDict):
    """What the activities of one kind have in common."""

    start_to_close_timeout: timedelta
    retry_policy: RetryPolicy


# No attempt limit anywhere: a partner or a database that is away makes an order wait, never go wrong.
PARTNER = StepOptions(
    start_to_close_timeout=timedelta(seconds=15),
    retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(minutes=1)),
)
LEDGER = StepOptions(
    start_to_close_timeout=timedelta(seconds=10),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=100),
        maximum_interval=timedelta(seconds=10),
        non_retryable_error_types=[StaleWrite.__name__],
    ),
)


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
