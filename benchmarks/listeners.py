"""Those who follow orders by server-sent events, and whether each of them saw every event once."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx2

from orders.model import CLOSING

HABITS = {"stays": 8, "leaves": 1, "is cut off": 1}
"""Of ten listeners so many stay to the end, go away in the middle, or lose the connection and come back."""


@dataclass
class Seen:
    """What a listener saw of one order."""

    seqs: list[int] = field(default_factory=list)
    is_over: bool = False

    @property
    def missed(self) -> int:
        """How many events were left out."""
        return len(set(range(1, max(self.seqs, default=0) + 1)) - set(self.seqs))

    @property
    def doubled(self) -> int:
        """How many events came again, or too late."""
        return sum(later <= earlier for earlier, later in zip(self.seqs, self.seqs[1:], strict=False))


class Listeners:
    """Each follows one of the latest orders until its stream ends, then the next."""

    def __init__(self, http: httpx2.AsyncClient, lively: deque[str], seed: int) -> None:
        self._http = http
        self._lively = lively
        self._random = random.Random(seed)  # noqa: S311 - it decides on a mix of load
        self._no_more = asyncio.Event()
        self.counts: Counter[str] = Counter()
        self.lags: list[float] = []
        self.failures: list[str] = []

    async def run(self, number: int) -> None:
        """Have so many listen, until told to stop."""
        async with asyncio.TaskGroup() as group:
            for _ in range(number):
                group.create_task(self._listen())
                # They don't all come at once, or they would all follow the first few orders.
                await asyncio.sleep(0.05)

    def stop(self) -> None:
        """Have them follow to its end what they follow now, and nothing more."""
        self._no_more.set()

    async def _listen(self) -> None:
        while not self._no_more.is_set():
            if self._lively:
                await self._follow(self._random.choice(self._lively))
            else:
                await asyncio.sleep(0.1)

    async def _follow(self, order_id: str) -> None:
        seen = Seen()
        (habit,) = self._random.choices(list(HABITS), list(HABITS.values()))
        try:
            went = await self._stream(order_id, seen, None if habit == "stays" else self._random.randint(1, 8))
            if went and habit == "is cut off" and not seen.is_over:
                went = await self._stream(order_id, seen)
        except httpx2.HTTPError as error:
            self.failures.append(f"stream of {order_id}: {error!r}")
            return
        self.counts["left in the middle" if went else "ended"] += 1
        self.counts["missed"] += seen.missed
        self.counts["doubled"] += seen.doubled
        if seen.missed or seen.doubled:
            self.failures.append(f"stream of {order_id}: saw {seen.seqs}")
        if not (seen.is_over or went):
            self.failures.append(f"stream of {order_id}: ended before the order did, after {seen.seqs}")

    async def _stream(self, order_id: str, seen: Seen, most: int | None = None) -> bool:
        """Listen to the end, or until so many events were seen; then it is this side that goes, and that is True."""
        self.counts["opened"] += 1
        last = {}
        if seen.seqs:
            self.counts["resumed"] += 1
            last = {"Last-Event-ID": str(seen.seqs[-1])}
        async with self._http.sse(f"/orders/{order_id}/events", headers=last) as source:
            if source.response.is_error:
                problem = (await source.response.aread()).decode()
                raise httpx2.HTTPStatusError(problem, request=source.response.request, response=source.response)
            opened = datetime.now(UTC)
            async for message in source:
                # The first message only says how soon to come back.
                if message.data:
                    self._hear(seen, message.data, opened)
                if most is not None and len(seen.seqs) >= most:
                    return True
        return False

    def _hear(self, seen: Seen, data: str, opened: datetime) -> None:
        event = json.loads(data)
        seen.seqs.append(event["seq"])
        seen.is_over = seen.is_over or event["type"] in CLOSING
        self.counts["events"] += 1
        # What had happened before it came says nothing about how soon news arrives.
        if (at := datetime.fromisoformat(event["at"])) > opened:
            self.lags.append((datetime.now(UTC) - at).total_seconds())
