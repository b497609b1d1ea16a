"""Clients that ask by HTTP and don't give up: what they were answered is what the system has to keep."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle
from typing import Any

import httpx2

from tests.faults.customers import Customer, Message, Writer

AGAIN = frozenset({429, 502, 503, 504})
"""The answers that mean "not now" (RFC 9110, section 15.6)."""
PATIENCE = 90.0
"""How long, in seconds, a client goes on asking for an answer."""
FIRST_REST, LONGEST_REST = 0.1, 2.0
FAR, LOOK_AGAIN = 60.0, 0.4
"""How long, in seconds, a client waits for an order to come so far, and how often it looks."""
FINAL = frozenset({"completed", "cancelled", "rejected", "expired", "failed"})
EXPECTED = {"place": frozenset({201}), "look": frozenset({200}), "carrier": frozenset({200})}
EXPECTED_OF_MESSAGES = frozenset({200, 202, 409})
"""What each kind of request may be answered in the end: each order makes sense, and a message may come too late.

That there is no such order is never right of one that was accepted, and nothing is that says what the server lacks.
"""
FORGED = 403
"""What an API process says of a carrier's signature while its own clock is wrong."""


@dataclass(frozen=True)
class Answer:
    """What a client was told at last; ``status`` is None where nobody answered."""

    at: datetime
    kind: str
    status: int | None
    tries: int


@dataclass
class Placed:
    """An order, and what was answered about it."""

    customer: Customer
    order_id: str | None = None
    answers: list[Answer] = field(default_factory=list)

    def was(self, kind: str, *statuses: int) -> bool:
        return any(answer.kind == kind and answer.status in statuses for answer in self.answers)


class Traffic:
    """So many customers, each of whom comes when it is due, whether or not earlier ones were answered."""

    def __init__(self, urls: Sequence[str], carrier_secret: str, seed: int) -> None:
        self._urls, self._secret = urls, carrier_secret
        self._writer = Writer(seed)
        # How long a client rests need not be the same in two runs.
        self._random = random.Random(seed)
        self.orders: list[Placed] = []
        self.failures: list[str] = []
        self.tries: Counter[str] = Counter()
        self.on_placed: list[Callable[[str], None]] = []
        """Who is told, once, of the next URL that has answered 201, before anything else is done."""

    @property
    def accepted(self) -> set[str]:
        """The orders that got a 201 once at least."""
        return {placed.order_id for placed in self.orders if placed.order_id}

    @property
    def cancelled(self) -> set[str]:
        """Those whose cancellation was done: the client was told so."""
        return {placed.order_id for placed in self.orders if placed.order_id and placed.was("cancel", 200)}

    @property
    def answers(self) -> Counter[tuple[str, int | None]]:
        """How often each kind of request was answered so."""
        return Counter((answer.kind, answer.status) for placed in self.orders for answer in placed.answers)

    async def run(self, count: int, rate: float) -> None:
        """Have so many customers come, so many a second; returns when all have had their answers."""
        start = time.monotonic()
        limits = httpx2.Limits(max_connections=None, keepalive_expiry=3)
        async with (
            httpx2.AsyncClient(limits=limits, timeout=8, trust_env=False) as http,
            asyncio.TaskGroup() as customers,
        ):
            for number in range(count):
                await asyncio.sleep(max(0.0, start + number / rate - time.monotonic()))
                placed = Placed(self._writer.customer())
                self.orders.append(placed)
                customers.create_task(self._live(http, placed))

    async def _live(self, http: httpx2.AsyncClient, placed: Placed) -> None:
        customer = placed.customer
        answer = await self._ask(http, placed, "place", "POST", "/orders", customer.key, customer.order)
        if answer is None or answer.status_code != 201:
            return
        placed.order_id = answer.json()["id"]
        async with asyncio.TaskGroup() as messages:
            for message in customer.messages:
                messages.create_task(self._tell(http, placed, message))

    async def _tell(self, http: httpx2.AsyncClient, placed: Placed, message: Message) -> None:
        has_come = not message.when or await self._until(http, placed, message.when)
        await asyncio.sleep(message.after)
        if message.kind == "carrier":
            if not has_come:
                # Of a parcel that it hasn't got no carrier tells.
                return
            await self._ask(http, placed, "carrier", "POST", "/webhooks/carrier", message.key, message.body)
            return
        method = "PUT" if message.kind == "shipping-address" else "POST"
        path = f"/orders/{placed.order_id}/{message.kind}"
        await self._ask(http, placed, message.kind, method, path, message.key, message.body)

    async def _until(self, http: httpx2.AsyncClient, placed: Placed, when: str) -> bool:
        """Look until the order has come so far, or to its end; False if that takes too long."""
        deadline = time.monotonic() + FAR
        while time.monotonic() < deadline:
            with suppress(httpx2.RequestError):
                answer = await http.get(f"{self._random.choice(self._urls)}/orders/{placed.order_id}")
                self._judge(placed, "look", answer)
                order = answer.json() if answer.is_success else {"status": "unknown", "stuck": None}
                if order["status"] in {when, *FINAL} or (when == "stuck" and order["stuck"]):
                    return True
            await asyncio.sleep(LOOK_AGAIN)
        return False

    async def _ask(
        self, http: httpx2.AsyncClient, placed: Placed, kind: str, method: str, path: str, key: str, body: Any
    ) -> httpx2.Response | None:
        """Ask until there is an answer that will not change, of whoever gives it."""
        deadline, rest, tries, answer = time.monotonic() + PATIENCE, FIRST_REST, 0, None
        urls = cycle(self._random.sample(self._urls, len(self._urls)))
        again = AGAIN | ({FORGED} if kind == "carrier" else {202})
        while time.monotonic() < deadline:
            url, tries = next(urls), tries + 1
            request = self._request(http, placed, kind, method, url + path, key, body)
            try:
                answer = await http.send(request)
            except httpx2.RequestError:
                answer = None
            # With 202 it is taken, and what comes of it is known to whoever asks again.
            if answer is not None and answer.status_code not in again:
                break
            await asyncio.sleep(rest * self._random.uniform(0.5, 1.5))
            rest = min(rest * 2, LONGEST_REST)
        if answer is not None and answer.status_code == 201:
            while self.on_placed:
                self.on_placed.pop()(str(answer.request.url.copy_with(path="")).rstrip("/"))
        self._note(placed, kind, answer, tries)
        return answer

    def _note(self, placed: Placed, kind: str, answer: httpx2.Response | None, tries: int) -> None:
        self.tries[kind] += tries
        status = answer.status_code if answer is not None else None
        placed.answers.append(Answer(datetime.now(UTC), kind, status, tries))
        self._judge(placed, kind, answer)

    def _judge(self, placed: Placed, kind: str, answer: httpx2.Response | None) -> None:
        status = answer.status_code if answer is not None else None
        # Whether a change that nobody answered in time was made or not, the auditor has to find the order right.
        may_be_open = kind != "place" and (status is None or status in AGAIN)
        if not may_be_open and status not in EXPECTED.get(kind, EXPECTED_OF_MESSAGES):
            said = f"{status} {answer.text[:200]}" if answer is not None else f"no answer within {PATIENCE:.0f} s"
            self.failures.append(f"{placed.order_id or placed.customer.key}: {kind}: {said}")

    def _request(
        self, http: httpx2.AsyncClient, placed: Placed, kind: str, method: str, url: str, key: str, body: Any
    ) -> httpx2.Request:
        if kind != "carrier":
            return http.build_request(method, url, json=body, headers={"Idempotency-Key": key})
        # Each time it is told anew, it is signed anew.
        news = {"id": key, "shipment": f"{placed.order_id}:1", "at": datetime.now(UTC).isoformat(), **body}
        content, now = json.dumps(news).encode(), str(int(time.time()))
        signature = hmac.new(self._secret.encode(), now.encode() + b"." + content, hashlib.sha256).hexdigest()
        headers = {"Webhook-Signature": f"t={now},v1={signature}", "Content-Type": "application/json"}
        return http.build_request(method, url, content=content, headers=headers)
