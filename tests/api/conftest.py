"""The API in this process, on the real servers, with the real workflows behind it.

``pytest --door lambda`` sends the requests of the same tests through the function, as AWS's gateways would.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from temporalio.client import Client

from api.app import create_app
from api.auth import Gatekeeper
from api.cursors import Cursors
from api.dependencies import Services
from api.feed import EventFeed
from orders.contracts import ORDERS_QUEUE
from orders.ledger.engine import Database
from orders.ledger.reader import LedgerReader
from orders.policy import Policy, ReviewMode
from orders.settings import ApiSettings, PartnerSettings, TemporalSettings, WebhookSettings, WorkerSettings, load
from orders.telemetry import OFF, Telemetry
from orders.temporal import connect
from tests.examples import body, new_id
from tests.function.doors import gateways, is_function
from tests.function.events import Gateway, RestApi
from tests.function.transport import Environments
from tests.issuer import Issuer, issuer_of_tokens
from workers.queues import QUEUES
from workers.runner import worker

NO_REVIEW = Policy(review_mode=ReviewMode.OFF)
CARRIER_SECRETS = ["an old secret of the carrier", "a new secret of the carrier"]
STRIPE_SECRET = "whsec_0123456789abcdef"
CURSORS = Cursors(b"a key for cursors")
STREAMS = "an answer is given whole: who wants a stream is pointed to long poll (tests/api/test_function.py)"
Asking = Callable[..., httpx2.AsyncClient]


def signed(event: Any, secret: str = CARRIER_SECRETS[1], age: int = 0) -> dict[str, Any]:
    """What ``POST`` needs to send an event as a carrier does."""
    content = json.dumps(event).encode()
    at = str(int(time.time()) - age)
    signature = hmac.new(secret.encode(), at.encode() + b"." + content, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "Webhook-Signature": f"t={at},v1={signature}"}
    return {"content": content, "headers": headers}


def _pauses() -> Iterator[float]:
    """Give the seconds between two looks: who looks often at many orders takes from their workers the time for them."""
    return (min(0.02 * 1.3**number, 0.2) for number in itertools.count())


@dataclass
class Api:
    http: httpx2.AsyncClient

    async def place(self, **changes: Any) -> dict[str, Any]:
        answer = await self.http.post("/orders", json=body(**changes))
        assert answer.status_code == 201, answer.text
        order: dict[str, Any] = answer.json()
        return order

    async def until(self, order_id: str, *statuses: str) -> dict[str, Any]:
        """Wait until an order has one of these statuses."""
        pauses = _pauses()
        async with asyncio.timeout(20):
            while True:
                order: dict[str, Any] = (await self.http.get(f"/orders/{order_id}")).json()
                if order["status"] in statuses:
                    return order
                await asyncio.sleep(next(pauses))

    async def until_event(self, order_id: str, event: str) -> None:
        """Wait until an event stands in an order's audit trail."""
        pauses = _pauses()
        async with asyncio.timeout(20):
            while True:
                if event in await self.trail(order_id):
                    return
                await asyncio.sleep(next(pauses))

    async def trail(self, order_id: str) -> list[str]:
        answer = await self.http.get(f"/orders/{order_id}/events")
        return [event["type"] for event in answer.json()["data"]]


def http_of(services: Services, *given: Any, **more: Any) -> httpx2.AsyncClient:
    """A client of the API with these services, through the door that is open."""
    return httpx2.AsyncClient(transport=transport_to(services, *given, **more), base_url="http://api")


def transport_to(
    services: Services,
    gatekeeper_of: Callable[[], Gatekeeper] | None = None,
    root_path: str = "",
    settings: ApiSettings | None = None,
    telemetry: Telemetry = OFF,
    routes: Mapping[str, Callable[..., Any]] | None = None,
    through: Sequence[Gateway] = (),
) -> httpx2.ASGITransport | Environments:
    """What brings requests to the API, which may have routes besides its own; ``through`` gateways to the function."""
    settings = settings or load(ApiSettings)

    def app_of(services: Services) -> FastAPI:
        app = create_app(settings, services, gatekeeper_of() if gatekeeper_of else None, telemetry)
        for path, route in (routes or {}).items():
            app.add_api_route(path, route)
        return app

    if not (is_function() or through):
        return httpx2.ASGITransport(app=app_of(services), raise_app_exceptions=False, root_path=root_path)

    def made() -> FastAPI:
        # Who waits for events does so in the event loop of one environment.
        return app_of(replace(services, feed=EventFeed(LedgerReader(services.database), settings.max_waiting)))

    through = through or ([RestApi(base_path=root_path[1:])] if root_path else gateways())
    return Environments(made, through, telemetry, root_path)


@pytest.fixture(scope="session")
def services_with(client: Client, database: Database) -> Callable[[Policy], Services]:
    return lambda policy: services_of(client, database, policy)


@pytest.fixture(scope="session")
async def idle_api(idle_client: Client, database: Database) -> AsyncIterator[Api]:
    """No worker runs: what is asked of Temporal is never done."""
    async with http_of(services_of(idle_client, database, Policy(), timeout=timedelta(seconds=2))) as http:
        yield Api(http)


@pytest.fixture
async def api_without_payments(
    temporal_settings: TemporalSettings, process_name: str, database: Database
) -> AsyncIterator[Api]:
    """Nobody works on the queue of payments: what is asked of the provider is not answered."""
    client = await connect(temporal_settings.model_copy(update={"namespace": f"{process_name}-unpaid"}))
    work = QUEUES[ORDERS_QUEUE](database, load(PartnerSettings))
    services = services_of(client, database, NO_REVIEW, timeout=timedelta(seconds=1))
    async with worker(client, ORDERS_QUEUE, work, load(WorkerSettings)), http_of(services) as http:
        yield Api(http)


def services_of(
    client: Client, database: Database, policy: Policy, timeout: timedelta = timedelta(seconds=10)
) -> Services:
    webhooks = load(
        WebhookSettings, CARRIER_WEBHOOK_SECRETS=",".join(CARRIER_SECRETS), STRIPE_WEBHOOK_SECRETS=STRIPE_SECRET
    )
    return Services.of(client, database, policy, timeout, webhooks, CURSORS)


@pytest.fixture(scope="session")
async def api(services_with: Callable[[Policy], Services], working: None) -> AsyncIterator[Api]:
    """No review: an order goes on at once."""
    async with http_of(services_with(NO_REVIEW)) as http:
        yield Api(http)


@pytest.fixture(scope="session")
async def patient_api(services_with: Callable[[Policy], Services], working: None) -> AsyncIterator[Api]:
    """A long review: an order stays open until it is told something."""
    async with http_of(services_with(Policy(review_timeout=timedelta(hours=1)))) as http:
        yield Api(http)


@pytest.fixture(scope="session")
async def travelling(
    temporal_settings: TemporalSettings, process_name: str, database: Database
) -> AsyncIterator[Callable[[Policy], Services]]:
    """Shops whose parcels travel until their carrier says otherwise."""
    client = await connect(temporal_settings.model_copy(update={"namespace": f"{process_name}-travelling"}))
    partners, settings = load(PartnerSettings, CARRIER_TRANSIT="P30D"), load(WorkerSettings, WORKER_GRACEFUL_SHUTDOWN=1)
    async with AsyncExitStack() as running:
        for queue, work in QUEUES.items():
            await running.enter_async_context(worker(client, queue, work(database, partners), settings))
        yield lambda policy: services_of(client, database, policy)


@pytest.fixture
async def travelling_api(travelling: Callable[[Policy], Services]) -> AsyncIterator[Api]:
    async with http_of(travelling(NO_REVIEW)) as http:
        yield Api(http)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuer_of_tokens() as running:
        yield running


@pytest.fixture
async def asking(issuer: Issuer, services_with: Callable[[Policy], Services]) -> AsyncIterator[Asking]:
    """An API that believes the issuer; settings, and how often it may ask, can be given."""
    async with AsyncExitStack() as running:

        def start(cooldown: float = 5, **settings: str) -> httpx2.AsyncClient:
            believed = issuer.settings(**settings)
            http = http_of(services_with(NO_REVIEW), lambda: Gatekeeper(believed, timedelta(seconds=cooldown)))
            running.push_async_callback(http.aclose)
            return http

        yield start


def bearer(shown: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {shown}"}


async def look_up(http: httpx2.AsyncClient, shown: str) -> httpx2.Response:
    """Ask for an order that isn't there: 404 says that the token was believed."""
    return await http.get(f"/orders/{new_id()}", headers=bearer(shown))
