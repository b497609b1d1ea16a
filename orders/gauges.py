"""What is asked about the shop and its queues for the metrics: everything that isn't counted where it happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from opentelemetry.metrics import Observation
from temporalio.client import Client

from orders.ledger.engine import Database
from orders.ledger.figures import figures
from orders.telemetry import Telemetry
from orders.telemetry.gauges import PATIENCE, Gauge, Gauges, Readings
from orders.temporal import QueueStats, queue_stats

OPEN = Gauge("orders.open", "{order}", "Orders that are not at their end, by status.")
STUCK = Gauge("orders.stuck", "{order}", "Orders that don't get on.")
REFUNDS = Gauge("orders.refunds.waiting", "{refund}", "Refunds that the provider was asked for and has not made yet.")
REFUND_AGE = Gauge(
    "orders.refunds.oldest.age", "s", "For how long the oldest of these refunds has been waiting; 0 without any."
)
OLDEST = Gauge("orders.oldest.open.age", "s", "For how long the oldest open order has been open; 0 without any.")
BACKLOG = Gauge("orders.queue.backlog", "{task}", "Tasks that wait for a worker.")
BACKLOG_AGE = Gauge("orders.queue.backlog.age", "s", "For how long the first of them has been waiting.")
POLLERS = Gauge("orders.queue.pollers", "{process}", "Processes that have asked for tasks in the last minutes.")


@asynccontextmanager
async def gauged(telemetry: Telemetry, database: Database, client: Client) -> AsyncIterator[None]:
    """Have these gauges, as long as the event loop runs."""
    if telemetry.metrics is None:
        yield
        return

    async def shop() -> Readings:
        return await readings_of_shop(database)

    async def queues() -> Readings:
        return await readings_of_queues(client)

    provider = telemetry.metrics.provider
    # Each by itself: one may be away while the other answers.
    gauges = (
        Gauges((OPEN, STUCK, REFUNDS, REFUND_AGE, OLDEST), shop, provider),
        Gauges((BACKLOG, BACKLOG_AGE, POLLERS), queues, provider),
    )
    reading = [asyncio.create_task(each.keep_reading()) for each in gauges]
    try:
        yield
    finally:
        for each in reading:
            each.cancel()


async def readings_of_shop(database: Database) -> Readings:
    """Ask the ledger."""
    found = await figures(database)
    return {
        OPEN.name: [Observation(count, {"status": status.value}) for status, count in found.open.items()],
        STUCK.name: [Observation(found.stuck)],
        REFUNDS.name: [Observation(found.refunding)],
        REFUND_AGE.name: [Observation(found.oldest_refund.total_seconds())],
        OLDEST.name: [Observation(found.oldest.total_seconds())],
    }


async def readings_of_queues(client: Client) -> Readings:
    """Ask Temporal."""
    found = await queue_stats(client, timedelta(seconds=PATIENCE))

    def of_each(figure: Callable[[QueueStats], float]) -> list[Observation]:
        return [Observation(figure(each), {"queue": each.queue, "kind": each.kind}) for each in found]

    return {
        BACKLOG.name: of_each(lambda queue: queue.backlog),
        BACKLOG_AGE.name: of_each(lambda queue: queue.oldest.total_seconds()),
        POLLERS.name: of_each(lambda queue: queue.pollers),
    }
