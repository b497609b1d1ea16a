"""What a running API is made of, and how a route gets it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Path, Request, Security
from fastapi.security import HTTPBearer, SecurityScopes
from temporalio.client import Client

from api.auth import Claims, Gatekeeper, Pass, Scope
from api.cursors import Cursors
from api.errors import UnknownOrder
from api.feed import EventFeed
from api.lists import OrderLists
from api.preconditions import IfMatch, Key, key_of, listed, versions_of
from api.progress import ProgressService
from api.service import ORDER_ID, OrderService, terms
from orders.contracts import Terms
from orders.errors import DependencyUnavailable
from orders.ledger.engine import Database
from orders.ledger.reader import LedgerReader
from orders.model import Origin
from orders.patience import patiently
from orders.policy import Policy
from orders.readiness import database_answers, missing, temporal_answers
from orders.settings import (
    ApiSettings,
    DatabaseSettings,
    LifecycleSettings,
    TemporalSettings,
    WebhookSettings,
    load,
)
from orders.telemetry import Telemetry
from orders.telemetry.context import about
from orders.temporal import connect

BEARER = HTTPBearer(
    scheme_name="token",
    bearerFormat="JWT",
    description="one of the scopes that an operation names is enough",
    auto_error=False,
)


@dataclass(frozen=True)
class Services:
    """The composition root's result: everything that outlives a request."""

    client: Client
    database: Database
    orders: OrderService
    progress: ProgressService
    webhooks: WebhookSettings
    feed: EventFeed
    lists: OrderLists

    @classmethod
    async def from_settings(cls, settings: ApiSettings, telemetry: Telemetry) -> Services:
        """Put the API together; neither Temporal nor PostgreSQL need be there yet.

        Raises:
            InvalidSetting: a setting can't be used.
        """
        client = await connect(load(TemporalSettings), lazy=True, telemetry=telemetry)
        database_settings = load(DatabaseSettings)
        database = Database(database_settings)
        telemetry.watch_database(database.engine, "ledger", lambda: database.waiting)
        policy, webhooks = load(LifecycleSettings).policy(), load(WebhookSettings)
        cursors = Cursors.of(settings.cursor_secret, database_settings.url)
        return cls.of(
            client,
            database,
            policy,
            settings.timeout,
            webhooks,
            cursors,
            settings.max_waiting,
            settings.max_waiting_each,
        )

    @classmethod
    def of(
        cls,
        client: Client,
        database: Database,
        policy: Policy,
        timeout: timedelta,
        webhooks: WebhookSettings,
        cursors: Cursors,
        max_waiting: int = 1000,
        max_waiting_each: int | None = None,
    ) -> Services:
        """Put the API together from what is there."""
        reader = LedgerReader(database)
        orders = OrderService(client, reader, policy, timeout)
        progress, lists = ProgressService(client, orders), OrderLists(reader, cursors)
        feed = EventFeed(reader, max_waiting, max_waiting_each)
        return cls(client, database, orders, progress, webhooks, feed, lists)

    async def missing(self) -> list[DependencyUnavailable]:
        """Say which dependencies give no sign of life."""
        return await missing(temporal_answers(self.client), database_answers(self.database))

    async def wait_until_ready(self) -> None:
        """Wait for all dependencies, saying what is being waited for."""
        await asyncio.gather(
            patiently(lambda: temporal_answers(self.client)), patiently(lambda: database_answers(self.database))
        )
        logging.getLogger(__name__).info("ready: Temporal and PostgreSQL answer")


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


async def feed(request: Request) -> EventFeed:
    """Give a route what brings new events to those who wait for them."""
    return (await services(request)).feed


async def lists(request: Request) -> OrderLists:
    """Give a route the lists of orders."""
    return (await services(request)).lists


async def webhooks(request: Request) -> WebhookSettings:
    """Give a route what partners sign with."""
    return (await services(request)).webhooks


async def trace(request: Request) -> str:
    """Name the trace in the course of which is asked."""
    found: str = request.state.trace_id
    return found


async def admitted(request: Request) -> Pass:
    """Say who asks, and what they may do.

    Raises:
        Unauthenticated: nobody that can be believed.
        IssuerUnavailable: their token can't be checked.
    """
    gatekeeper: Gatekeeper = request.app.state.gatekeeper
    found = await BEARER(request)
    vouched: Claims | None = getattr(request.state, "vouched", None)
    return await gatekeeper.admit(found.credentials if found else None, vouched)


async def permitted(
    needed: SecurityScopes, who: Annotated[Pass, Depends(admitted)], _: Annotated[object, Depends(BEARER)]
) -> None:
    """Let pass who has one of the scopes that the route names; ``BEARER`` is there for the OpenAPI document.

    Raises:
        Forbidden: they have none of them.
    """
    who.check(needed.scopes)


def needs(*scopes: Scope) -> Any:
    """Have a route ask for a token with one of these scopes, before it looks at anything but the form of its body."""
    return Security(permitted, scopes=scopes)


async def caller(request: Request, who: Annotated[Pass, Depends(admitted)]) -> Origin:
    """Name the caller, and the trace in the course of which it asks."""
    return Origin(who.subject, request.state.trace_id)


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
    about(order_id)
    return order_id


OrderId = Annotated[str, Depends(known_form)]


class Sent(NamedTuple):
    """Where a message comes from, and on which terms."""

    actor: str
    trace_id: str | None
    terms: Terms


async def sender(
    request: Request, caller: Annotated[Origin, Depends(caller)], _key: Key = None, _if_match: IfMatch = None
) -> Sent:
    """Name who sends a message, and on which terms."""
    return Sent(*caller, terms(caller, key_of(request), versions_of(listed(request, "If-Match"))))


Orders = Annotated[OrderService, Depends(orders)]
LiveProgress = Annotated[ProgressService, Depends(live_progress)]
Feed = Annotated[EventFeed, Depends(feed)]
Lists = Annotated[OrderLists, Depends(lists)]
Webhooks = Annotated[WebhookSettings, Depends(webhooks)]
TraceId = Annotated[str, Depends(trace)]
Caller = Annotated[Origin, Depends(caller)]
Sender = Annotated[Sent, Depends(sender)]
