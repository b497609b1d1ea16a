"""Whether the servers are there that API and workers need: what both wait for, and what their probes tell."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from datetime import timedelta

from temporalio.client import Client

from orders.errors import DependencyUnavailable
from orders.ledger.engine import Database
from orders.ledger.schema import check_schema
from orders.temporal import ping

PATIENCE = timedelta(seconds=2)
"""How long a probe waits for a server."""


async def temporal_answers(client: Client) -> None:
    """Ask Temporal for a sign of life.

    Raises:
        DependencyUnavailable: there is none.
    """
    await ping(client, PATIENCE)


async def database_answers(database: Database) -> None:
    """Ask PostgreSQL for a sign of life, and whether the migrations were run that the code needs.

    One that has so much to do that the question still waits lives too: a process whose callers it answers is of use to
    them, and with all of them unready at once nobody would be answered.

    Raises:
        DependencyUnavailable: there is none, or they were not.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            await loop.run_in_executor(database.threads, check_schema, database)
    except TimeoutError:
        if database.has_answered_within(PATIENCE):
            return
        raise DependencyUnavailable("PostgreSQL", f"no answer within {PATIENCE}") from None


async def missing(*signs: Awaitable[None]) -> list[DependencyUnavailable]:
    """Say which of these signs of life there are not."""
    found = await asyncio.gather(*signs, return_exceptions=True)
    for sign in found:
        if isinstance(sign, BaseException) and not isinstance(sign, DependencyUnavailable):
            raise sign
    return [sign for sign in found if isinstance(sign, DependencyUnavailable)]


def waiting_for(missing: Iterable[DependencyUnavailable]) -> str:
    """Say in words what is missing, as anybody may hear it."""
    return "waiting for " + " and ".join(error.told for error in missing)
