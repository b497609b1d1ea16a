"""The function as Lambda runs it: processes of AWS's runtime, before the real servers and the workers of the others."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from oteltap import OtelTapHttpProtobufReceiver, OtelTapHttpProtobufReceiverSettings

from cli.embedded import free_port
from orders.ledger.engine import Database
from orders.settings import DatabaseSettings, PartnerSettings, TemporalSettings, WorkerSettings, load
from orders.telemetry import Telemetry
from orders.temporal import connect
from tests.api.conftest import CARRIER_SECRETS
from tests.function.environments import Environment
from tests.function.events import GATEWAYS, Gateway
from tests.function.relay import Relay
from tests.function.runtime_api import TIMEOUT
from tests.function.transport import asked_of, at_own_paths, response_of
from workers.queues import QUEUES
from workers.runner import worker

APPLICATION = "a function"
"""By what PostgreSQL knows the connections of these environments."""
FLUSH = 0.5


class Through(httpx2.AsyncBaseTransport):
    """Requests to one environment through one gateway; the extension ``left`` is the time that it has for one."""

    def __init__(self, environment: Environment, gateway: Gateway) -> None:
        self._environment, self._gateway = environment, gateway

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        asked = await asked_of(request)
        given = request.extensions.get("left", TIMEOUT), request.extensions.get("xray")
        # The workers share this event loop.
        returned = await asyncio.to_thread(self._environment.invoke, self._gateway.event(asked), *given)
        return response_of(at_own_paths(self._gateway.answer(returned, asked), self._gateway.prefix), request.method)


def through(environment: Environment, gateway: str = "http-api") -> httpx2.AsyncClient:
    """A client of an environment."""
    return httpx2.AsyncClient(transport=Through(environment, GATEWAYS[gateway]), base_url="http://api")


@dataclass
class Collector:
    """What the environments tell, and the way on which they do."""

    spans: list[Span]
    metrics: set[str]
    relay: Relay

    async def until(self, trace_id: str, name: str) -> Span:
        """Wait for a span."""
        async with asyncio.timeout(5):
            while True:
                for span in self.of(trace_id):
                    if span.name == name:
                        return span
                await asyncio.sleep(0.01)

    def of(self, trace_id: str) -> list[Span]:
        return [span for span in self.spans if span.trace_id.hex() == trace_id]


def marks_of(span: Span) -> dict[str, Any]:
    """A span's attributes."""
    return {each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in span.attributes}


@pytest.fixture(scope="session")
async def collector() -> AsyncIterator[Collector]:
    port, spans, metrics = free_port(), list[Span](), set[str]()

    async def keep_spans(receiver: OtelTapHttpProtobufReceiver) -> None:
        async for span in receiver.stream_traces():
            spans.append(span)

    async def keep_metrics(receiver: OtelTapHttpProtobufReceiver) -> None:
        async for metric in receiver.stream_metrics():
            metrics.add(metric.name)

    async with OtelTapHttpProtobufReceiver(OtelTapHttpProtobufReceiverSettings(port)) as receiver:
        keeping = [asyncio.create_task(keep(receiver)) for keep in (keep_spans, keep_metrics)]
        relay = Relay(lambda: socket.create_connection(("127.0.0.1", port)))
        yield Collector(spans, metrics, relay)
        relay.close()
        for each in keeping:
            each.cancel()


@pytest.fixture(scope="session")
def way_to_temporal() -> Iterator[Relay]:
    host, _, port = os.environ["TESTS_TEMPORAL_ADDRESS"].partition(":")
    relay = Relay(lambda: socket.create_connection((host, int(port))))
    yield relay
    relay.close()


@pytest.fixture(scope="session")
async def at_work(
    temporal_settings: TemporalSettings, process_name: str, database_url: str, telemetry: Telemetry
) -> AsyncIterator[None]:
    """The workers, who tell this process what they do."""
    database = Database(load(DatabaseSettings, DATABASE_URL=database_url, DATABASE_POOL_SIZE=5))
    telemetry.watch_database(database.engine, "ledger", lambda: database.waiting)
    there = temporal_settings.model_copy(update={"namespace": f"{process_name}-function"})
    client = await connect(there, telemetry=telemetry)
    settings, partners = load(WorkerSettings, WORKER_GRACEFUL_SHUTDOWN=1), load(PartnerSettings)
    async with AsyncExitStack() as running:
        running.callback(database.close)
        for queue, work in QUEUES.items():
            await running.enter_async_context(worker(client, queue, work(database, partners), settings))
        yield


@pytest.fixture(scope="session")
def make_environment(
    tmp_path_factory: pytest.TempPathFactory,
    database_url: str,
    process_name: str,
    collector: Collector,
    way_to_temporal: Relay,
) -> Iterator[Callable[..., Environment]]:
    folder: Path = tmp_path_factory.mktemp("environments")
    made = []
    settings = {
        "DATABASE_URL": f"{database_url}{'&' if '?' in database_url else '?'}application_name={APPLICATION}",
        "TEMPORAL_ADDRESS": f"127.0.0.1:{way_to_temporal.port}",
        "TEMPORAL_NAMESPACE": f"{process_name}-function",
        "REVIEW_MODE": "off",
        "AUTH_MODE": "none",
        "AUTH_NONE_I_MEAN_IT": "true",
        "CARRIER_WEBHOOK_SECRETS": ",".join(CARRIER_SECRETS),
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.relay.port}",
        "OTEL_METRICS_EXPORTER": "none",
        "LAMBDA_FLUSH_TIMEOUT": str(FLUSH),
    }

    def make(**changes: str) -> Environment:
        made.append(Environment(folder, **settings | changes))
        return made[-1]

    yield make
    for environment in made:
        environment.close()


@pytest.fixture(scope="session")
def environment(make_environment: Callable[..., Environment]) -> Environment:
    """One that is warm after the first event, and tells all that there is to tell."""
    return make_environment(OTEL_METRICS_EXPORTER="otlp")


@pytest.fixture(scope="session")
def idle_environment(make_environment: Callable[..., Environment], process_name: str) -> Environment:
    """One of whose orders no worker takes care, and on whose way anything may go wrong."""
    return make_environment(TEMPORAL_NAMESPACE=f"{process_name}-idle", TEMPORAL_KEEP_ALIVE="1")
