"""The API in this process, on the real servers, with the real workflows behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from temporalio.client import Client

from api.app import create_app
from api.dependencies import Services
from api.service import OrderService
from orders.contracts import ORDERS_QUEUE, Policy
from orders.ledger.engine import Database
from orders.ledger.reader import LedgerReader
from orders.settings import ApiSettings, PartnerSettings, TemporalSettings, WorkerSettings, load
from orders.temporal import connect
from tests.examples import body
from workers.queues import QUEUES
from workers.runner import worker


@dataclass
class Api:
    http: httpx2.AsyncClient

    async def place(self, **changes: Any) -> dict[str, Any]:
        answer = await self.http.post("/orders", json=body(**changes))
        assert answer.status_code == 201, answer.text
        order: dict[str, Any] = answer.json()
        return order

    async def until(self, order_id: str, *statuses: str) -> dict[str, Any]:
        """Wait until an order has one of these statuses."""
        async with asyncio.timeout(20):
            while True:
                order: dict[str, Any] = (await self.http.get(f"/orders/{order_id}")).json()
                if order["status"] in statuses:
                    return order
                await asyncio.sleep(0.02)

    async def until_event(self, order_id: str, event: str) -> None:
        """Wait until an event stands in an order's audit trail."""
        async with asyncio.timeout(20):
            while True:
                if event in await self.trail(order_id):
                    return
                await asyncio.sleep(0.02)

    async def trail(self, order_id: str) -> list[str]:
        answer = await self.http.get(f"/orders/{order_id}/events")
        return [event["type"] for event in answer.json()["data"]]


def http_of(services: Services) -> httpx2.AsyncClient:
    app = create_app(load(ApiSettings), services)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://api")


@pytest.fixture(scope="session")
def services_with(client: Client, database: Database) -> Callable[[Policy], Services]:
    return lambda policy: _services(client, database, policy)


@pytest.fixture
async def idle_api(idle_client: Client, database: Database) -> AsyncIterator[Api]:
    """No worker runs: what is asked of Temporal is never done."""
    async with http_of(_services(idle_client, database, Policy(), timeout=timedelta(seconds=1))) as http:
        yield Api(http)


@pytest.fixture
async def api_without_payments(
    temporal_settings: TemporalSettings, process_name: str, database: Database
) -> AsyncIterator[Api]:
    """Nobody works on the queue of payments: what is asked of the provider is not answered."""
    client = await connect(temporal_settings.model_copy(update={"namespace": f"{process_name}-unpaid"}))
    work = QUEUES[ORDERS_QUEUE](database, load(PartnerSettings))
    services = _services(client, database, Policy(review_timeout=timedelta(0)), timeout=timedelta(seconds=1))
    async with worker(client, ORDERS_QUEUE, work, load(WorkerSettings)), http_of(services) as http:
        yield Api(http)


def _services(
    client: Client, database: Database, policy: Policy, timeout: timedelta = timedelta(seconds=10)
) -> Services:
    return Services(client, database, OrderService(client, LedgerReader(database), policy, timeout))


@pytest.fixture
async def api(services_with: Callable[[Policy], Services], working: None) -> AsyncIterator[Api]:
    """No review: an order goes on at once."""
    async with http_of(services_with(Policy(review_timeout=timedelta(0)))) as http:
        yield Api(http)


@pytest.fixture
async def patient_api(services_with: Callable[[Policy], Services], working: None) -> AsyncIterator[Api]:
    """A long review: an order stays open until it is told something."""
    async with http_of(services_with(Policy(review_timeout=timedelta(hours=1)))) as http:
        yield Api(http)
