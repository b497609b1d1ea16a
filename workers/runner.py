"""Runs the workers of some queues in one process, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker

from orders.ledger.engine import Database
from orders.patience import patiently
from orders.settings import DatabaseSettings, PartnerSettings, TemporalSettings, WorkerSettings, load
from orders.temporal import connect, ping
from workers.queues import QUEUES, Work

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
        # By default running activities are cancelled the moment the worker is told to stop.
        graceful_shutdown_timeout=settings.graceful_shutdown,
    )


async def run(queues: Sequence[str], stop: asyncio.Event) -> None:
    """Wait for Temporal and PostgreSQL, then work on the queues until ``stop``; return when all is drained.

    Raises:
        InvalidSetting: a setting can't be used.
    """
    temporal, workers = load(TemporalSettings), load(WorkerSettings)
    database, partners = Database(load(DatabaseSettings)), load(PartnerSettings)
    stopping = asyncio.create_task(stop.wait())
    try:
        starting = asyncio.create_task(_wait_for(temporal, database))
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            return
        client = await starting
        work_of = {queue: QUEUES[queue](database, partners) for queue in queues}
        workers_of = [worker(client, queue, work, workers) for queue, work in work_of.items()]
        running = [asyncio.create_task(each.run()) for each in workers_of]
        for queue in queues:
            logger.info("working on queue %s", queue)
        await asyncio.wait([stopping, *running], return_when=asyncio.FIRST_COMPLETED)
        logger.info("draining: no new tasks are taken, running ones may end")
        shutdown = asyncio.gather(*(each.shutdown() for each in workers_of), *running)
        done, _ = await asyncio.wait([shutdown], timeout=workers.graceful_shutdown.total_seconds() + PATIENCE)
        if done:
            # A worker that ended by itself did so with an error, which ends the process.
            await shutdown
            logger.info("drained")
        else:
            # A local activity that is refused again and again, by a database that is away, keeps the SDK from leaving.
            logger.warning("left what did not end in time to other workers; Temporal has it, nothing is lost")
        for work in work_of.values():
            work.close()
    finally:
        stopping.cancel()
        database.close()


async def _wait_for(temporal: TemporalSettings, database: Database) -> Client:
    async def temporal_answers() -> Client:
        client = await connect(temporal)
        await ping(client, timedelta(seconds=5))
        return client

    async def postgres_answers() -> None:
        await asyncio.get_running_loop().run_in_executor(None, database.ping)

    client = await patiently(temporal_answers)
    await patiently(postgres_answers)
    return client
