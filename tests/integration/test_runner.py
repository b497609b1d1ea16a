"""The workers of a process."""

from __future__ import annotations

from temporalio.client import Client

from orders.contracts import ORDERS_QUEUE
from orders.ledger.engine import Database
from orders.settings import PartnerSettings, WorkerSettings, load
from workers.queues import QUEUES
from workers.runner import worker


async def test_a_worker_takes_no_more_tasks_at_once_than_it_can_end_in_ten_seconds_when_it_is_slow(
    idle_client: Client, database: Database
) -> None:
    work = QUEUES[ORDERS_QUEUE](database, load(PartnerSettings))
    config = worker(idle_client, ORDERS_QUEUE, work, load(WorkerSettings)).config()
    # Each of them writes to the ledger, on one of ten connections.
    assert (config.get("max_concurrent_workflow_tasks") or 100) <= 20
