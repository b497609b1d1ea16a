"""What an order asks of its parcel while that is at work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from temporalio import workflow
from temporalio.exceptions import ApplicationError, ChildWorkflowError
from temporalio.workflow import ChildWorkflowHandle

with workflow.unsafe.imports_passed_through():
    from orders.contracts import ChangeLabel, Request, ShipmentAnswer, ShipmentReport
    from orders.details import Address
    from orders.model import ShipmentStatus
    from orders.workflows.shipping import ShippingWorkflow

Handle: TypeAlias = ChildWorkflowHandle[ShippingWorkflow, ShipmentReport]


@dataclass
class Parcel:
    """A ``ShippingWorkflow`` as its order sees it; it alone knows whether it is too late to ask something of it."""

    handle: Handle | None = None
    is_called_back: bool = False
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _requests: int = 0
    _answers: dict[int, bool] = field(default_factory=dict)
    _on_answer: dict[int, Callable[[bool], None]] = field(default_factory=dict)

    async def come_back(self, on_answer: Callable[[bool], None]) -> bool:
        """Ask it to stop and to put everything back; False if it is leaving already."""
        self.is_called_back = True
        number = self._number(on_answer)
        return await self._ask(number, lambda handle: handle.signal(ShippingWorkflow.recall, Request(number)))

    async def take_new_address(self, address: Address, on_answer: Callable[[bool], None]) -> bool:
        """Ask it to go elsewhere; False if it is leaving already."""
        number = self._number(on_answer)
        change = ChangeLabel(number, address)
        return await self._ask(number, lambda handle: handle.signal(ShippingWorkflow.change_label, change))

    def answered(self, answer: ShipmentAnswer) -> None:
        """Take the parcel's answer, and act on it before anything that the parcel reports later."""
        if answer.number not in self._answers:
            self._answers[answer.number] = answer.accepted
            self._on_answer[answer.number](answer.accepted)

    def _number(self, on_answer: Callable[[bool], None]) -> int:
        self._requests += 1
        self._on_answer[self._requests] = on_answer
        return self._requests

    async def _ask(self, number: int, ask: Callable[[Handle], Awaitable[None]]) -> bool:
        # One question at a time: signals sent together may arrive in any order, and so may their answers.
        async with self._asking:
            return await self._ask_alone(number, ask)

    async def _ask_alone(self, number: int, ask: Callable[[Handle], Awaitable[None]]) -> bool:
        await workflow.wait_condition(lambda: self.handle is not None)
        handle = self.handle
        assert handle
        if not handle.done():
            try:
                await ask(handle)
            except ApplicationError:
                # It has come to its end in this very moment; its report says how.
                await workflow.wait_condition(handle.done)
        await workflow.wait_condition(lambda: number in self._answers or handle.done())
        # Of a parcel that has been called back nothing is asked too late.
        self.answered(ShipmentAnswer(number, handle.done() and await _was_recalled(handle)))
        return self._answers[number]


async def _was_recalled(handle: Handle) -> bool:
    try:
        return (await handle).steps[-1].status is ShipmentStatus.RECALLED
    except ChildWorkflowError:
        return True
