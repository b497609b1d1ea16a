"""How much waits for the workers, and whether there are any."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from orders.ledger.engine import Database
from orders.policy import Policy
from orders.settings import TemporalSettings
from orders.temporal import connect
from tests.api.conftest import Api, http_of, services_of

QUEUES = [("orders", "workflow"), ("payments", "activity"), ("shipping", "workflow"), ("shipping", "activity")]


async def test_every_queue_with_its_kinds_of_tasks_is_told_of(api: Api) -> None:
    async with asyncio.timeout(20):
        while True:
            answer = await api.http.get("/stats")
            assert answer.status_code == 200
            queues = answer.json()["queues"]
            assert [(queue["queue"], queue["kind"]) for queue in queues] == QUEUES
            if all(queue["pollers"] == 1 and queue["polled_at"] for queue in queues):
                break
            await asyncio.sleep(0.1)


@pytest.fixture
async def waiting_api(temporal_settings: TemporalSettings, process_name: str, database: Database) -> AsyncIterator[Api]:
    """A namespace in which no worker has ever run."""
    client = await connect(temporal_settings.model_copy(update={"namespace": f"{process_name}-waiting"}))
    async with http_of(services_of(client, database, Policy())) as http:
        yield Api(http)


async def test_a_queue_without_workers_shows_what_waits_and_for_how_long(waiting_api: Api) -> None:
    await asyncio.gather(*(waiting_api.place() for _ in range(5)))
    async with asyncio.timeout(20):
        while True:
            orders, payments, *_ = (await waiting_api.http.get("/stats")).json()["queues"]
            if orders["backlog"] == 5 and orders["oldest_seconds"] > 0:
                break
            await asyncio.sleep(0.1)
    assert (orders["pollers"], orders["polled_at"]) == (0, None)
    assert (payments["backlog"], payments["pollers"]) == (0, 0)
