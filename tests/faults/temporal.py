"""What Temporal itself says of the workflows of a system that is at rest."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool
from temporalio.client import Client, WorkflowExecutionStatus

from orders.ledger.engine import pg8000_url

SOON = 15.0
"""How long, in seconds, a workflow may take from its last write to its end, and to be listed so."""
MOST_TRIES = 2
"""How often a task of a workflow may be tried by a system that is healed."""
STILL = text(
    "select 'order:' || id as workflow from orders "
    "where status not in ('completed', 'cancelled', 'rejected', 'expired', 'failed')"
)


async def violations(address: str, database_url: str) -> list[str]:
    """Name the workflows that run though their order is at its end, have failed, or don't get on."""
    client = await Client.connect(address)
    found: list[str] = []
    for _ in range(int(SOON)):
        found = await _violations(client, await asyncio.to_thread(_open_orders, database_url))
        if not found:
            break
        await asyncio.sleep(1)
    return found


async def _violations(client: Client, open_orders: Iterable[str]) -> list[str]:
    found, still = [], set(open_orders)
    async for each in client.list_workflows():
        order_id = each.id.split(":")[1]
        if each.status is not WorkflowExecutionStatus.RUNNING:
            if each.status is not WorkflowExecutionStatus.COMPLETED:
                found.append(f"{order_id}: temporal: {each.id} is {each.status.name if each.status else None}")
            continue
        if f"order:{order_id}" not in still:
            found.append(f"{order_id}: temporal: {each.id} runs, and the order is at its end")
        described = await client.get_workflow_handle(each.id).describe()
        tries = described.raw_description.pending_workflow_task.attempt
        if tries > MOST_TRIES:
            found.append(f"{order_id}: temporal: a task of {each.id} is tried for the {tries}th time")
    return found


def _open_orders(database_url: str) -> list[str]:
    with create_engine(pg8000_url(database_url), poolclass=NullPool).connect() as connection:
        return list(connection.execute(STILL).scalars())
