"""What Temporal itself says of the workflows of a system that is at rest."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool
from temporalio.client import Client, WorkflowExecutionStatus

from orders.ledger.engine import pg8000_url

SOON = 15.0
"""How long, in seconds, a workflow may take from its last write to its end, and to be listed so."""
MOST_TRIES = 2
"""How often a task of a workflow may be tried by a system that is healed."""
MOST_ATTEMPTS = 10
"""How often an activity of it may be tried: partners go on failing now and then."""
STILL = text(
    "select 'order:' || id as workflow from orders "
    "where status not in ('completed', 'cancelled', 'rejected', 'expired', 'failed')"
)


@dataclass(frozen=True)
class Running:
    """A workflow that runs; ``tries`` and ``attempts`` are how often its task, and an activity, were tried at most."""

    id: str
    tries: int = 0
    attempts: int = 0


async def violations(address: str, database_url: str) -> list[str]:
    """Name the workflows that run after the end of their order, or not before it, have failed, or get stuck."""
    client = await Client.connect(address)
    found: list[str] = []
    for _ in range(int(SOON)):
        found = await _violations(client, await asyncio.to_thread(_open_orders, database_url))
        if not found:
            break
        await asyncio.sleep(1)
    return found


async def _violations(client: Client, open_orders: Iterable[str]) -> list[str]:
    found, running = [], []
    async for each in client.list_workflows():
        order_id = each.id.split(":")[1]
        if each.status is not WorkflowExecutionStatus.RUNNING:
            if each.status is not WorkflowExecutionStatus.COMPLETED:
                found.append(f"{order_id}: temporal: {each.id} is {each.status.name if each.status else None}")
            continue
        described = (await client.get_workflow_handle(each.id).describe()).raw_description
        attempts = max((activity.attempt for activity in described.pending_activities), default=0)
        running.append(Running(each.id, described.pending_workflow_task.attempt, attempts))
    return [*found, *complaints(running, open_orders)]


def complaints(running: Collection[Running], open_orders: Iterable[str]) -> list[str]:
    """Compare what runs to the workflows of the orders that are open."""
    found, still = [], set(open_orders)
    for each in running:
        order_id = each.id.split(":")[1]
        if f"order:{order_id}" not in still:
            found.append(f"{order_id}: temporal: {each.id} runs, and the order is at its end")
        if each.tries > MOST_TRIES:
            found.append(f"{order_id}: temporal: a task of {each.id} is tried for the {each.tries}th time")
        if each.attempts > MOST_ATTEMPTS:
            found.append(f"{order_id}: temporal: an activity of {each.id} is tried for the {each.attempts}th time")
    missing = still - {each.id for each in running}
    return found + [
        f"{each.split(':')[1]}: temporal: {each} doesn't run, and the order is open" for each in sorted(missing)
    ]


def _open_orders(database_url: str) -> list[str]:
    with create_engine(pg8000_url(database_url), poolclass=NullPool).connect() as connection:
        return list(connection.execute(STILL).scalars())
