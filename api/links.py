"""Links what comes later to the trace in which an order was placed; the workflow links back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from api.errors import UnknownOrder
from orders.errors import DependencyUnavailable, Overloaded
from orders.telemetry.context import about, is_recording, link_to

PATIENCE = 0.25
"""How much longer, in seconds, a request that is done otherwise may take for its link."""


class Links:
    """Knows from ``placed`` which span an order was placed in."""

    def __init__(self, placed: Callable[[str], Awaitable[str | None]]) -> None:
        self._placed = placed

    @asynccontextmanager
    async def to(self, order_id: str) -> AsyncIterator[None]:
        """Link the request to the order that it is about, while it is done: nobody waits, or is refused, for that."""
        if not is_recording():
            yield
            return
        about(order_id)
        linking = asyncio.create_task(self._link(order_id))
        try:
            yield
        finally:
            await asyncio.wait([linking], timeout=PATIENCE)
            linking.cancel()

    async def _link(self, order_id: str) -> None:
        with suppress(DependencyUnavailable, Overloaded, UnknownOrder):
            if placed := await self._placed(order_id):
                link_to(placed)
