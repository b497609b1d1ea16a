"""Every process is replaced, one after the other, while customers place orders, follow them and cancel some."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from temporalio.client import Client
from temporalio.service import RPCError

from cli.embedded import free_port
from orders.contracts import TASKS, order_workflow_id, shipment_workflow_id
from orders.ledger.engine import Database
from orders.settings import DatabaseSettings, TemporalSettings, load
from orders.temporal import connect
from tests.examples import body, new_id
from tests.faults.checker import violations
from tests.faults.system import Process
from tests.servers import TEMPLATE, create_database

ARTICLE = "MUG"
AT_ONCE = 6
"""How many customers there are, each of whom comes again when their order is at its end."""
SETTINGS = {"REVIEW_TIMEOUT": "0.5", "PAYMENT_LATENCY": "0.3", "CARRIER_LATENCY": "0.2", "OTEL_SDK_DISABLED": "true"}
AGAIN = frozenset({429, 502, 503, 504})
PATIENCE = 60.0
"""How long, in seconds, a customer goes on asking: this machine may be busy."""


class Shop:
    """Processes of the API and of workers of all queues, by name; ``urls`` are where a balancer would send requests."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self._folder, self._settings = folder, settings
        self._running: dict[str, Process] = {}
        self.codes: dict[str, int | None] = {}
        self.urls: list[str] = []

    async def start(self, *names: str) -> None:
        """Start these, and wait until they are ready."""
        for name in names:
            port = str(free_port())
            is_api = name.startswith("api")
            command = [sys.executable, "-m", *(["api"] if is_api else ["workers", *TASKS])]
            environment = {**os.environ, **self._settings, "API_PORT" if is_api else "WORKER_HEALTH_PORT": port}
            url = f"http://127.0.0.1:{port}"
            self._running[name] = Process(name, command, environment, self._folder / f"{name}.log", f"{url}/readyz")
            self._running[name].start()
        for name in names:
            process = self._running[name]
            while not await asyncio.to_thread(process.answers):
                assert process.is_running, process.log.read_text()
                await asyncio.sleep(0.05)
            if name.startswith("api"):
                self.urls.append(process.probe.removesuffix("/readyz"))

    async def end(self, name: str) -> None:
        """Have one leave by SIGTERM; the balancer hears of it a moment later."""
        process = self._running.pop(name)
        process.send(signal.SIGTERM)
        await asyncio.sleep(0.1)
        if name.startswith("api"):
            self.urls.remove(process.probe.removesuffix("/readyz"))
        self.codes[name] = await asyncio.to_thread(process.wait, 40)

    def kill(self) -> None:
        for process in self._running.values():
            process.send(signal.SIGKILL)
            process.wait(10)


@dataclass
class Customers:
    """They don't give up: where one API refuses or is gone, they ask the next one, under the same key."""

    shop: Shop
    http: httpx2.AsyncClient
    placed: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    trails: dict[str, list[int]] = field(default_factory=dict)
    resumed: int = 0
    failures: list[str] = field(default_factory=list)
    tries: Counter[int] = field(default_factory=Counter)
    _turn: Iterator[int] = field(default_factory=count)

    async def come(self, until: asyncio.Event) -> None:
        """Place orders until told; returns when all have seen theirs end. Each third order is cancelled."""

        async def stay() -> None:
            while not until.is_set():
                await self._live(is_undecided=len(self.placed) % 3 == 0)

        await asyncio.gather(*(stay() for _ in range(AT_ONCE)))

    async def _live(self, is_undecided: bool) -> None:
        placed = await self._ask("/orders", body(items=[{"sku": ARTICLE, "qty": 1, "price": 12.5}]), 201)
        if placed is None:
            return
        order_id = placed["id"]
        self.placed.append(order_id)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._follow(order_id))
            if is_undecided:
                # Some before the payment, some in the middle of it.
                await asyncio.sleep(0.3 + len(self.placed) % 7 / 10)
                if (
                    told := await self._ask(f"/orders/{order_id}/cancel", {"reason": "too late"}, 200, 409)
                ) is not None:
                    self.cancelled += [order_id] if "id" in told else []

    async def _ask(self, path: str, content: dict[str, Any], *expected: int) -> dict[str, Any] | None:
        key, found, deadline = new_id(), "no answer", time.monotonic() + PATIENCE
        for tried in count(1):
            if time.monotonic() > deadline:
                break
            try:
                answer = await self.http.post(self._next() + path, json=content, headers={"Idempotency-Key": key})
            except httpx2.RequestError as error:
                found = repr(error)
            else:
                found = f"{answer.status_code} {answer.text}"
                if answer.status_code in expected:
                    self.tries[tried] += 1
                    told: dict[str, Any] = answer.json()
                    return told
                if answer.status_code not in AGAIN | {202}:
                    break
            await asyncio.sleep(0.1)
        self.failures.append(f"POST {path}: {found}")
        return None

    async def _follow(self, order_id: str) -> None:
        """Follow an order as EventSource does, until there is nothing more to come (HTML standard, section 9.2)."""
        seen = self.trails[order_id] = []
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            headers = {"Accept": "text/event-stream", **({"Last-Event-ID": str(seen[-1])} if seen else {})}
            try:
                url = f"{self._next()}/orders/{order_id}/events"
                async with self.http.stream("GET", url, headers=headers, timeout=30) as answer:
                    if answer.status_code == 204:
                        return
                    if answer.is_success:
                        self.resumed += bool(seen)
                        async for line in answer.aiter_lines():
                            seen += [int(line.removeprefix("id: "))] if line.startswith("id: ") else []
                    elif answer.status_code not in AGAIN:
                        self.failures.append(f"GET {url}: {answer.status_code}")
            except httpx2.RequestError:
                pass
            await asyncio.sleep(0.1)
        self.failures.append(f"{order_id}: its stream had no end")

    def _next(self) -> str:
        return self.shop.urls[next(self._turn) % len(self.shop.urls)]


@pytest.fixture
def shelf(process_name: str) -> Iterator[Database]:
    """A database of this shop's own."""
    found = Database(load(DatabaseSettings, DATABASE_URL=create_database(f"rolling_{process_name}", TEMPLATE)))
    yield found
    found.close()


@pytest.fixture
async def client(temporal_settings: TemporalSettings, process_name: str) -> Client:
    return await connect(temporal_settings.model_copy(update={"namespace": f"{process_name}-rolling"}))


@pytest.fixture
def shop(shelf: Database, client: Client, tmp_path: Path) -> Iterator[Shop]:
    url = shelf.engine.url.render_as_string(hide_password=False)
    servers = {"DATABASE_URL": url, "TEMPORAL_ADDRESS": client.service_client.config.target_host}
    shop = Shop(tmp_path, servers | {"TEMPORAL_NAMESPACE": client.namespace} | SETTINGS)
    yield shop
    shop.kill()


@pytest.mark.timeout(180)
async def test_every_process_is_replaced_under_load_without_a_failed_request_or_a_repeated_effect(
    shop: Shop, shelf: Database, client: Client
) -> None:
    began, stock = time.monotonic(), dict(rows(shelf, "select sku, on_hand from stock"))
    await shop.start("api-1", "api-2", "workers-1", "workers-2")
    is_over = asyncio.Event()
    async with httpx2.AsyncClient(trust_env=False, timeout=15) as http:
        customers = Customers(shop, http)
        coming = asyncio.create_task(customers.come(is_over))
        # The new ones are there before the old ones go …
        await shop.start("api-3", "workers-3")
        await shop.end("api-1")
        await shop.end("workers-1")
        # … and old ones go before new ones come.
        await shop.end("workers-2")
        await shop.end("api-2")
        await shop.start("api-4", "workers-4")
        is_over.set()
        await coming
    for name in ("api-3", "workers-3", "api-4", "workers-4"):
        await shop.end(name)
    told = f"{len(customers.placed)} orders, {len(customers.cancelled)} cancelled, {customers.resumed} streams resumed"
    print(f"{told}, tries {dict(customers.tries)}, {time.monotonic() - began:.1f} s")

    assert customers.failures == []
    assert set(shop.codes.values()) == {0}, shop.codes
    assert len(customers.placed) > AT_ONCE
    assert customers.cancelled
    assert customers.resumed > 0, "no stream was cut: nothing was shown"
    # Who followed an order was told of each event, and of each once.
    written = dict(rows(shelf, "select order_id, array_agg(seq order by seq) from events group by order_id"))
    assert customers.trails == written
    assert await repeated(client, customers.placed) == []
    assert max(asked for _, asked in rows(shelf, "select key, asked from simulator.payments")) == 1
    assert max(offers for _, offers in rows(shelf, "select shipment_id, dispatches from simulator.parcels")) == 1
    url = shelf.engine.url.render_as_string(hide_password=False)
    assert violations(url, customers.placed, cancelled=customers.cancelled, initial_stock=stock) == []


def rows(database: Database, query: str) -> list[tuple[Any, Any]]:
    """Ask for rows of two columns."""
    return [(row[0], row[1]) for row in database.run(lambda connection: connection.execute(text(query)).all())]


async def repeated(client: Client, order_ids: list[str]) -> list[str]:
    """Name the activities that were tried more than once."""
    found = []
    for order_id in order_ids:
        for workflow_id in (order_workflow_id(order_id), shipment_workflow_id(f"{order_id}:1")):
            with suppress(RPCError):  # No parcel was asked for.
                async for event in client.get_workflow_handle(workflow_id).fetch_history_events():
                    begun = event.activity_task_started_event_attributes
                    found += (
                        [f"{workflow_id}: {begun.attempt}, {begun.last_failure.message}"] if begun.attempt > 1 else []
                    )
    return found
