"""Runs the workers of some queues in one process, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import nullcontext
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig

from orders.contracts import ORDERS_QUEUE
from orders.gauges import gauged
from orders.ledger.engine import Database
from orders.patience import patiently
from orders.readiness import database_answers
from orders.settings import (
    DatabaseSettings,
    PartnerSettings,
    TelemetrySettings,
    TemporalSettings,
    WorkerSettings,
    load,
)
from orders.telemetry import Telemetry
from orders.temporal import connect, ping
from workers.health import Vitals, probed
from workers.queues import QUEUES, Work

T = TypeVar("T")
logger = logging.getLogger(__name__)
PATIENCE = 3.0
"""How long, in seconds, the workers may take to leave after their activities have had their time."""


def worker(client: Client, queue: str, work: Work, settings: WorkerSettings) -> Worker:
    """Make the worker of one queue."""
    return Worker(
        client,
        task_queue=queue,
        workflows=work.workflows,
        activities=work.activities,
        activity_executor=work.threads,
        interceptors=work.interceptors,
        max_cached_workflows=settings.cached_workflows,
        # By default running activities are cancelled the moment the worker is told to stop.
        graceful_shutdown_timeout=settings.graceful_shutdown,
        deployment_config=_version_of(work, settings),
    )


def _version_of(work: Work, settings: WorkerSettings) -> WorkerDeploymentConfig | None:
    if settings.deployment_name is None or settings.build_id is None:
        return None
    version = WorkerDeploymentVersion(settings.deployment_name, settings.build_id)
    return WorkerDeploymentConfig(version, use_worker_versioning=True, default_versioning_behavior=work.versioning)


def service_of(queues: Sequence[str]) -> str:
    """Name the process that works on these queues."""
    return f"orders-worker-{'-'.join(queues)}"


async def run(queues: Sequence[str], stop: asyncio.Event) -> None:
    """Wait for Temporal and PostgreSQL, then work on the queues until ``stop``; return when all is drained.

    Raises:
        InvalidSetting: a setting can't be used.
    """
    settings, database, partners = load(WorkerSettings), Database(load(DatabaseSettings)), load(PartnerSettings)
    vitals = Vitals(database)
    with probed(settings, vitals):
        telemetry = Telemetry.start(service_of(queues), load(TelemetrySettings))
        telemetry.watch_database(database.engine, "ledger", lambda: database.waiting)
        try:
            async with telemetry.telling():
                client = await _unless(stop, _wait_for(load(TemporalSettings), vitals, database, telemetry))
                if client:
                    work_of = {queue: QUEUES[queue](database, partners) for queue in queues}
                    # The workers of one queue are enough to ask, and whoever has none of them has the API.
                    asking = gauged(telemetry, database, client) if ORDERS_QUEUE in queues else nullcontext()
                    async with asking:
                        await work_on(client, work_of, settings, stop, vitals)
        finally:
            vitals.is_draining = True
            database.close()
            await asyncio.to_thread(telemetry.close)


async def work_on(
    client: Client, work_of: Mapping[str, Work], settings: WorkerSettings, stop: asyncio.Event, vitals: Vitals
) -> None:
    """Work on these queues until ``stop``, then let what runs come to its end.

    Raises:
        Exception: a worker can't go on.
    """
    workers_of = vitals.workers = [worker(client, queue, work, settings) for queue, work in work_of.items()]
    running = [asyncio.create_task(each.run()) for each in workers_of]
    for queue in work_of:
        logger.info("working on queue %s", queue)
    await _unless(stop, asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED))
    vitals.is_draining = True
    logger.info("draining: no new tasks are taken, running ones may end")
    shutdown = asyncio.gather(*(each.shutdown() for each in workers_of), *running)
    done, _ = await asyncio.wait([shutdown], timeout=settings.graceful_shutdown.total_seconds() + PATIENCE)
    if done:
        # A worker that ended by itself did so with an error, which ends the process.
        await shutdown
        logger.info("drained")
    else:
        # A local activity that is refused again and again, by a database that is away, keeps the SDK from leaving.
        logger.warning("left what did not end in time to other workers; Temporal has it, nothing is lost")
    for work in work_of.values():
        work.close()


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Do some work, unless told to stop before it is done."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        return working.result()
    working.cancel()
    return None


async def _wait_for(temporal: TemporalSettings, vitals: Vitals, database: Database, telemetry: Telemetry) -> Client:
    async def both_answer() -> Client:
        client = vitals.client = vitals.client or await connect(temporal, telemetry=telemetry)
        await database_answers(database)
        # Last of all: a worker that begins while Temporal is away can't go on.
        await ping(client, timedelta(seconds=5))
        return client

    return await patiently(both_answer)
