"""What an order asks of its parcel while that is at work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from temporalio import workflow
from temporalio.exceptions import ApplicationError
from temporalio.workflow import ChildWorkflowHandle

with workflow.unsafe.imports_passed_through():
    from orders.contracts import ChangeLabel, Request, ShipmentAnswer, ShipmentReport
    from orders.details import Address
    from orders.model import ShipmentStatus
    from orders.workflows.shipping import ShippingWorkflow

Handle: TypeAlias = ChildWorkflowHandle[ShippingWorkflow, ShipmentReport]


def do_nothing() -> None:
    """Stands for an effect that isn't wanted."""


@dataclass
class Parcel:
    """A ``ShippingWorkflow`` as its order sees it; it alone knows whether it is too late to ask something of it."""

    handle: Handle | None = None
    _requests: int = 0
    _answers: dict[int, bool] = field(default_factory=dict)
    _on_yes: dict[int, Callable[[], None]] = field(default_factory=dict)

    async def come_back(self) -> bool:
        """Ask it to stop and to put everything back; False if it is leaving already."""
        number = self._number(do_nothing)
        return await self._ask(number, lambda handle: handle.signal(ShippingWorkflow.recall, Request(number)))

    async def take_new_address(self, address: Address, on_yes: Callable[[], None]) -> bool:
        """Ask it to go elsewhere; False if it is leaving already.

        ``on_yes`` is called with the answer, before anything that the parcel reports later.
        """
        number = self._number(on_yes)
        change = ChangeLabel(number, address)
        return await self._ask(number, lambda handle: handle.signal(ShippingWorkflow.change_label, change))

    def answered(self, answer: ShipmentAnswer) -> None:
        """Take the parcel's answer."""
        self._answers[answer.number] = answer.accepted
        if answer.accepted:
            self._on_yes.pop(answer.number, do_nothing)()

    def _number(self, on_yes: Callable[[], None]) -> int:
        self._requests += 1
        self._on_yes[self._requests] = on_yes
        return self._requests

    async def _ask(self, number: int, ask: Callable[[Handle], Awaitable[None]]) -> bool:
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
        if handle.done() and (await handle).steps[-1].status is ShipmentStatus.RECALLED:
            # It has been called back: nothing that is asked of it can be too late.
            self._on_yes.pop(number, do_nothing)()
            return True
        return self._answers.get(number, False)
