"""What clients ask of the API: a seeded mix of requests, each sent when it is due."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2

EXAMPLE = Path(__file__).parent.parent / "examples" / "order.json"
EXPECTED = frozenset({200, 201, 202, 304, 409, 412})
"""The last two are what a change of an order that has moved on, or is over, gets."""
LIVELY = 30
"""So many of the latest orders are still on their way: most requests are about them."""
WAIT = 5
Ask = Callable[[], Awaitable[httpx2.Response]]


class Traffic:
    """An open loop: a request is sent when it is due, whether or not earlier ones were answered."""

    def __init__(self, http: httpx2.AsyncClient, rate: float, seed: int) -> None:
        self._http = http
        self._rate = rate
        # Two runs have the same mix.
        self._random = random.Random(seed)  # noqa: S311 - it decides on a mix of load
        self._example: dict[str, Any] = json.loads(EXAMPLE.read_text())
        self._bodies: deque[tuple[str, dict[str, Any]]] = deque(maxlen=LIVELY)
        self._placed: list[str] = []
        self._etags: dict[str, str] = {}
        self._cursors: deque[dict[str, str]] = deque(maxlen=LIVELY)
        self._mix: dict[str, tuple[int, Ask]] = {
            "place": (13, self._place),
            "place again": (2, self._place_again),
            "get": (30, self._get),
            "get if changed": (12, self._get_if_changed),
            "list": (10, self._list),
            "next page": (4, self._next_page),
            "events": (8, self._events),
            "wait for events": (6, self._wait_for_events),
            "progress": (8, self._progress),
            "change address": (3, self._change_address),
            "cancel": (2, self._cancel),
            "stats": (2, self._stats),
        }
        self.lively: deque[str] = deque(maxlen=LIVELY)
        self.latencies: dict[str, list[float]] = defaultdict(list)
        self.statuses: dict[str, Counter[int]] = defaultdict(Counter)
        self.late: list[float] = []
        self.failures: list[str] = []

    @property
    def sent(self) -> int:
        """How many requests were due so far."""
        return len(self.late)

    async def run(self, seconds: float) -> None:
        """Send what is due in this time, and wait for all answers."""
        start = time.monotonic()
        async with asyncio.TaskGroup() as requests:
            for number in range(int(seconds * self._rate)):
                due = start + number / self._rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                self.late.append(time.monotonic() - due)
                requests.create_task(self._send(due))

    async def _send(self, due: float) -> None:
        kinds = list(self._mix)
        (kind,) = self._random.choices(kinds, [self._mix[each][0] for each in kinds])
        if not self._placed:
            kind = "place"
        try:
            answer = await self._mix[kind][1]()
        except httpx2.RequestError as error:
            self.failures.append(f"{kind}: {error!r}")
            return
        # From when it was due: a client that comes late itself must not make the service look fast.
        self.latencies[kind].append(time.monotonic() - due)
        self.statuses[kind][answer.status_code] += 1
        if answer.status_code not in EXPECTED:
            self.failures.append(f"{kind}: {answer.status_code} {answer.text}")

    async def _place(self) -> httpx2.Response:
        key, body = self._random.randbytes(16).hex(), self._order()
        answer = await self._http.post("/orders", json=body, headers={"Idempotency-Key": key})
        if answer.is_success:
            self._bodies.append((key, body))
            order_id: str = answer.json()["id"]
            self._placed.append(order_id)
            self.lively.append(order_id)
        return answer

    async def _place_again(self) -> httpx2.Response:
        key, body = self._random.choice(self._bodies)
        return await self._http.post("/orders", json=body, headers={"Idempotency-Key": key})

    async def _get(self) -> httpx2.Response:
        order_id = self._any()
        answer = await self._http.get(f"/orders/{order_id}")
        self._etags[order_id] = answer.headers.get("ETag", "")
        return answer

    async def _get_if_changed(self) -> httpx2.Response:
        order_id = self._any()
        return await self._http.get(f"/orders/{order_id}", headers=self._known(order_id, "If-None-Match"))

    async def _list(self) -> httpx2.Response:
        filters: dict[str, str] = {"limit": self._random.choice(["10", "20", "50"])}
        if self._maybe(0.5):
            filters["status"] = self._random.choice(["in_review", "shipped", "completed", "cancelled"])
        elif self._maybe(0.5):
            filters["customer_email"] = self._customer()
        answer = await self._http.get("/orders", params=filters)
        if answer.is_success and (cursor := answer.json()["next"]):
            self._cursors.append({**filters, "cursor": cursor})
        return answer

    async def _next_page(self) -> httpx2.Response:
        return await self._http.get("/orders", params=self._random.choice(self._cursors or [{}]))

    async def _events(self) -> httpx2.Response:
        return await self._http.get(f"/orders/{self._any()}/events")

    async def _wait_for_events(self) -> httpx2.Response:
        path = f"/orders/{self._random.choice(self.lively)}/events"
        # What comes next is known only once it is known what was there.
        reached = (await self._http.get(path)).json().get("next")
        return await self._http.get(path, params={"after": reached or "0", "wait": WAIT})

    async def _progress(self) -> httpx2.Response:
        return await self._http.get(f"/orders/{self._random.choice(self.lively)}/progress")

    async def _change_address(self) -> httpx2.Response:
        order_id = self._random.choice(self.lively)
        address = {**self._example["shipping_address"], "street": f"{self._random.randrange(1, 999)} Market St"}
        headers = self._known(order_id, "If-Match") if self._maybe(0.5) else {}
        return await self._http.put(f"/orders/{order_id}/shipping-address", json=address, headers=headers)

    async def _cancel(self) -> httpx2.Response:
        order_id = self._random.choice(self.lively)
        headers = self._known(order_id, "If-Match") if self._maybe(0.5) else {}
        return await self._http.post(f"/orders/{order_id}/cancel", json={"reason": "ordered twice"}, headers=headers)

    async def _stats(self) -> httpx2.Response:
        return await self._http.get("/stats")

    def _any(self) -> str:
        return self._random.choice(self.lively if self._maybe(0.7) else self._placed)

    def _maybe(self, share: float) -> bool:
        return self._random.random() < share

    def _known(self, order_id: str, header: str) -> dict[str, str]:
        etag = self._etags.get(order_id)
        return {header: etag} if etag else {}

    def _customer(self) -> str:
        return f"customer{self._random.randrange(200)}@example.com"

    def _order(self) -> dict[str, Any]:
        articles = self._random.sample(["ABC123", "MUG", "MUG-BLUE"], self._random.randint(1, 3))
        items = [{"sku": sku, "qty": self._random.randint(1, 3), "price": "12.50"} for sku in articles]
        (method,) = self._random.choices(["tok_visa", "tok_answer_lost", "tok_declined"], [92, 4, 4])
        return {**self._example, "customer_email": self._customer(), "items": items, "payment_method": method}
