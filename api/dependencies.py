"""What a running API is made of, and how a route gets it."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from typing import Annotated

from fastapi import Depends, Header, Path, Request
from temporalio.client import Client

from api.cursors import Cursors
from api.errors import UnknownOrder
from api.lists import OrderLists
from api.progress import ProgressService
from api.service import ORDER_ID, OrderService
from orders.errors import DependencyUnavailable, InvalidSetting
from orders.ledger.engine import Database
from orders.ledger.reader import LedgerReader
from orders.model import Origin
from orders.patience import patiently
from orders.policy import Policy
from orders.settings import (
    ApiSettings,
    DatabaseSettings,
    LifecycleSettings,
    TemporalSettings,
    WebhookSettings,
    load,
)
from orders.temporal import connect, ping

TRACEPARENT = re.compile(r"00-(?P<trace_id>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
"""The header ``traceparent`` (W3C Trace Context, section 3.2)."""
PATIENCE = timedelta(seconds=2)
"""How long a probe waits for a dependency's sign of life."""


@dataclass(frozen=True)
class Services:
    """The composition root's result: everything that outlives a request."""

    client: Client
    database: Database
    orders: OrderService
    progress: ProgressService
    webhooks: WebhookSettings
    lists: OrderLists

    @classmethod
    async def from_settings(cls, settings: ApiSettings) -> Services:
        """Put the API together; neither Temporal nor PostgreSQL need be there yet.

        Raises:
            InvalidSetting: a setting can't be used.
        """
        client = await connect(load(TemporalSettings), lazy=True)
        database_settings = load(DatabaseSettings)
        database = Database(database_settings)
        policy, webhooks = load(LifecycleSettings).policy(), load(WebhookSettings)
        if webhooks.stripe_secrets and find_spec("stripe") is None:
            raise InvalidSetting("STRIPE_WEBHOOK_SECRETS: needs pip install 'order-lifecycle[stripe]'")
        cursors = Cursors.of(settings.cursor_secret, database_settings.url)
        return cls.of(client, database, policy, settings.timeout, webhooks, cursors)

    @classmethod
    def of(
        cls,
        client: Client,
        database: Database,
        policy: Policy,
        timeout: timedelta,
        webhooks: WebhookSettings,
        cursors: Cursors,
    ) -> Services:
        """Put the API together from what is there."""
        reader = LedgerReader(database)
        orders = OrderService(client, reader, policy, timeout)
        progress, lists = ProgressService(client, orders), OrderLists(reader, cursors)
        return cls(client, database, orders, progress, webhooks, lists)

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


async def services(request: Request) -> Services:
    """Give a route the services of its application."""
    found: Services = request.app.state.services
    return found


async def orders(request: Request) -> OrderService:
    """Give a route the orders."""
    return (await services(request)).orders


async def live_progress(request: Request) -> ProgressService:
    """Give a route what knows how orders get on."""
    return (await services(request)).progress


async def lists(request: Request) -> OrderLists:
    """Give a route the lists of orders."""
    return (await services(request)).lists


async def webhooks(request: Request) -> WebhookSettings:
    """Give a route what partners sign with."""
    return (await services(request)).webhooks


async def caller(traceparent: Annotated[str | None, Header(include_in_schema=False)] = None) -> Origin:
    """Name the caller, and the trace in the course of which it asks: its own, or one that begins here."""
    found = TRACEPARENT.fullmatch(traceparent or "")
    trace_id = found["trace_id"] if found and int(found["trace_id"], 16) else secrets.token_hex(16)
    return Origin("anonymous", trace_id)


async def known_form(
    order_id: Annotated[
        str, Path(max_length=128, description="as `POST /orders` gave it", examples=["ord_5f0c3d9a2b7e4f6a8c1d0e2f"])
    ],
) -> str:
    """Let pass only what can be an order's id.

    Raises:
        UnknownOrder: it can't be.
    """
    if not ORDER_ID.fullmatch(order_id):
        raise UnknownOrder(order_id)
    return order_id


OrderId = Annotated[str, Depends(known_form)]
Orders = Annotated[OrderService, Depends(orders)]
LiveProgress = Annotated[ProgressService, Depends(live_progress)]
Lists = Annotated[OrderLists, Depends(lists)]
Webhooks = Annotated[WebhookSettings, Depends(webhooks)]
Caller = Annotated[Origin, Depends(caller)]
