"""What the metrics say of orders that people place, and what they keep to themselves."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

import pytest

from api.dependencies import Services
from orders.contracts import TASKS
from orders.gauges import gauged
from orders.ledger.engine import Database
from orders.ledger.figures import OPEN
from orders.settings import PartnerSettings, TemporalSettings, WorkerSettings, load
from orders.telemetry import Telemetry
from orders.temporal import connect, queue_stats
from tests.api.conftest import NO_REVIEW, Api, http_of, services_of
from tests.metering import Meters, labels
from workers.queues import QUEUES
from workers.runner import worker

NAME, EMAIL, STREET = "Zaphod Quux", "zaphod.quux@example.com", "42 Heartofgold Alley"


@dataclass
class Shop:
    """An API and its workers, and what both measure."""

    api: Api
    services: Services
    telemetry: Telemetry
    meters: Meters


@pytest.fixture(scope="module")
async def shop(temporal_settings: TemporalSettings, process_name: str, database: Database) -> AsyncIterator[Shop]:
    """Its workers keep no workflow in memory: each task replays the history from the beginning."""
    meters = Meters()
    telemetry = Telemetry(metrics=meters.metrics)
    settings = temporal_settings.model_copy(update={"namespace": f"{process_name}-counted"})
    client = await connect(settings, telemetry=telemetry)
    forgetful = load(WorkerSettings, WORKER_CACHED_WORKFLOWS=0, WORKER_GRACEFUL_SHUTDOWN=1)
    async with AsyncExitStack() as running:
        for queue, work_of in QUEUES.items():
            work = work_of(database, load(PartnerSettings))
            await running.enter_async_context(worker(client, queue, work, forgetful))
        services = services_of(client, database, NO_REVIEW)
        http = await running.enter_async_context(http_of(services, telemetry=telemetry))
        yield Shop(Api(http), services, telemetry, meters)


async def test_each_order_is_counted_once_however_often_its_history_is_replayed(shop: Shop) -> None:
    names = ("orders.placed", "orders.payments.declined", "orders.finished", "orders.step.duration")
    before = {name: Counter(shop.meters.counts(name)) for name in names}
    # One after the other: without memory for workflows the SDK can't work on two that write at the same time.
    completed = await shop.api.place()
    await shop.api.until(completed["id"], "completed")
    declined = await shop.api.place(payment_method="tok_declined")
    await shop.api.until(declined["id"], "payment_failed")
    await shop.api.http.post(f"/orders/{declined['id']}/cancel", json={"reason": "no card"})
    await shop.api.until(declined["id"], "cancelled")
    counted = {name: Counter(shop.meters.counts(name)) - before[name] for name in names}
    assert counted == {
        "orders.placed": {labels(): 2},
        "orders.payments.declined": {labels(): 1},
        "orders.finished": {labels(outcome="completed"): 1, labels(outcome="cancelled"): 1},
        "orders.step.duration": {
            labels(step="received"): 2,
            labels(step="validated"): 2,
            labels(step="paid"): 1,
            labels(step="fulfilling"): 1,
            labels(step="shipped"): 1,
            labels(step="payment_failed"): 1,
        },
    }


async def test_no_metric_names_a_person_or_an_order(shop: Shop) -> None:
    address = {"street": STREET, "city": "Betelgeuse"}
    order = await shop.api.place(customer_name=NAME, customer_email=EMAIL, shipping_address=address)
    await shop.api.until(order["id"], "completed")
    paths = (f"/orders/{order['id']}/events", "/orders", f"/orders/{EMAIL}", f"/nowhere/{EMAIL}")
    for path in paths:
        await shop.api.http.get(path, params={"customer_email": EMAIL}, headers={"User-Agent": NAME})
    metrics = shop.meters.read()
    told = " ".join(metric.to_json() for metric in metrics.values()).lower()
    for personal in (*NAME.split(), EMAIL, *STREET.split()[1:], order["id"], "customer", "127.0.0.1"):
        assert personal.lower() not in told
    durations = metrics["http.server.request.duration"]
    assert durations.unit == "s"
    routes = {(point.attributes or {}).get("http.route") for point in durations.data.data_points}
    assert {"/orders", "/orders/{order_id}", "/orders/{order_id}/events", None} <= routes


async def test_the_shop_and_its_queues_are_asked_for_as_long_as_the_process_runs(
    shop: Shop,
) -> None:
    client, counts = shop.services.client, shop.meters.counts
    async with asyncio.timeout(10):
        # Workers that have just begun have not all asked for tasks yet, and gauges are read at once and then seldom.
        while not all(queue.pollers for queue in await queue_stats(client, timedelta(seconds=5))):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    async with gauged(shop.telemetry, shop.services.database, client), asyncio.timeout(10):
        while not (counts("orders.open") and counts("orders.queue.pollers")):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert len(counts("orders.open")) == len(OPEN)
    assert labels() in counts("orders.stuck").keys() & counts("orders.refunds.waiting").keys()
    assert labels() in counts("orders.oldest.open.age").keys() & counts("orders.refunds.oldest.age").keys()
    queues = {labels(queue=queue, kind=kind) for queue, kinds in TASKS.items() for kind in kinds}
    for name in ("backlog", "backlog.age", "pollers"):
        assert counts(f"orders.queue.{name}").keys() == queues
    assert set(counts("orders.queue.pollers").values()) == {1}
