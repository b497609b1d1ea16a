"""What a running API is made of, and how a route gets it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request
from temporalio.client import Client

from api.service import OrderService
from orders.errors import DependencyUnavailable
from orders.ledger.engine import Database
from orders.ledger.reader import LedgerReader
from orders.patience import patiently
from orders.settings import ApiSettings, DatabaseSettings, LifecycleSettings, TemporalSettings, load
from orders.temporal import connect, ping

PATIENCE = timedelta(seconds=2)
"""How long a probe waits for a dependency's sign of life."""


@dataclass(frozen=True)
class Services:
    """The composition root's result: everything that outlives a request."""

    client: Client
    database: Database
    orders: OrderService

    @classmethod
    async def from_settings(cls, settings: ApiSettings) -> Services:
        """Put the API together; neither Temporal nor PostgreSQL need be there yet.

        Raises:
            InvalidSetting: a setting can't be used.
        """
        client = await connect(load(TemporalSettings), lazy=True)
        database = Database(load(DatabaseSettings))
        policy = load(LifecycleSettings).policy()
        return cls(client, database, OrderService(client, LedgerReader(database), policy, settings.timeout))

    async def missing(self) -> list[DependencyUnavailable]:
        """Say which dependencies give no sign of life."""
        signs = await asyncio.gather(self._temporal(), self._postgres(), return_exceptions=True)
        for sign in signs:
            if isinstance(sign, BaseException) and not isinstance(sign, DependencyUnavailable):
                raise sign
        return [sign for sign in signs if isinstance(sign, DependencyUnavailable)]

    async def wait_until_ready(self) -> None:
        """Wait for all dependencies, saying what is being waited for."""
        await asyncio.gather(patiently(self._temporal), patiently(self._postgres))
        logging.getLogger(__name__).info("ready: Temporal and PostgreSQL answer")

    async def _temporal(self) -> None:
        await ping(self.client, PATIENCE)

    async def _postgres(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                await loop.run_in_executor(self.database.threads, self.database.ping)
        except TimeoutError:
            raise DependencyUnavailable("PostgreSQL", f"no answer within {PATIENCE}") from None


def services(request: Request) -> Services:
    """Give a route the services of its application."""
    found: Services = request.app.state.services
    return found


def orders(request: Request) -> OrderService:
    """Give a route the orders."""
    return services(request).orders


def actor() -> str:
    """Name the caller in the audit trail."""
    return "anonymous"


Orders = Annotated[OrderService, Depends(orders)]
Actor = Annotated[str, Depends(actor)]
