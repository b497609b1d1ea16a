"""How much waits for the workers, and whether there are any."""

from __future__ import annotations

import asyncio

from tests.api.conftest import Api

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


async def test_a_queue_without_workers_shows_what_waits_and_for_how_long(idle_api: Api) -> None:
    before = (await idle_api.http.get("/stats")).json()["queues"][0]
    await asyncio.gather(*(idle_api.place() for _ in range(5)))
    async with asyncio.timeout(20):
        while True:
            orders, payments, *_ = (await idle_api.http.get("/stats")).json()["queues"]
            if orders["backlog"] >= before["backlog"] + 5 and orders["oldest_seconds"] > 0:
                break
            await asyncio.sleep(0.1)
    assert (payments["backlog"], payments["pollers"], payments["polled_at"]) == (0, 0, None)
