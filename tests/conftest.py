"""What the tests share."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import AliasChoices
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from cli.embedded import program
from orders.ledger.engine import Database
from orders.ledger.reader import LedgerReader
from orders.ledger.writer import Ledger
from orders.settings import (
    CONCERNS,
    DatabaseSettings,
    PartnerSettings,
    TelemetrySettings,
    TemporalSettings,
    WorkerSettings,
    load,
)
from orders.telemetry import Telemetry
from orders.telemetry.tracing import Tracing
from orders.temporal import connect
from tests.function.doors import CONTAINER, DOORS, is_function, open_door
from tests.secrets_manager import SecretsManager, forget_clients, served
from tests.servers import TEMPLATE, Servers, create_database
from workers.queues import QUEUES
from workers.runner import worker

FIRST = ("stack", "test_machine", "test_faults", "test_contract")
"""Folders and modules: what takes longest, and of it first what shares systems that take long to start."""
_servers: Servers | None = None


def pytest_addoption(parser: pytest.Parser) -> None:
    told = "what the tests of the API send their requests through: lambda is each of AWS's gateways in turn"
    parser.addoption("--door", choices=DOORS, default=CONTAINER, help=told)


def pytest_configure(config: pytest.Config) -> None:
    global _servers  # noqa: PLW0603
    config.addinivalue_line("markers", "container_only(reason): what a function can't do, and so does otherwise")
    open_door(config.getoption("door"))
    # A developer's own settings must not steer the tests.
    for concern in CONCERNS:
        for each in concern.model_fields.values():
            other_names = each.validation_alias.choices if isinstance(each.validation_alias, AliasChoices) else ()
            for name in (each.alias, *other_names):
                os.environ.pop(str(name), None)
    # Nor have each of the processes that they start compile everything anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    # An API in the tests' own process is asked by nobody else.
    os.environ["API_HOST"] = "127.0.0.1"
    is_spread = hasattr(config, "workerinput")
    no_servers = ("tests/unit", "tests/replay", "tests/deploy", "tests/images")
    only_files = bool(config.args) and all(any(each in argument for each in no_servers) for argument in config.args)
    if not is_spread and not only_files and not config.option.collectonly:
        _servers = Servers.start(processes=config.getoption("numprocesses", None) or 0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The longest first: what is left in the end can then be shared out evenly.
    items.sort(key=_rank)
    for item in items:
        mark = item.get_closest_marker("container_only")
        if mark and is_function():
            item.add_marker(pytest.mark.skip(reason=f"of the container alone: {mark.args[0]}"))


def _rank(item: pytest.Item) -> int:
    names = (item.path.parent.name, item.path.stem)
    return next((rank for rank, name in enumerate(FIRST) if name in names), len(FIRST))


def pytest_unconfigure(config: pytest.Config) -> None:
    if _servers:
        _servers.stop()


@pytest.fixture(scope="session")
def process_name(worker_id: str) -> str:
    return worker_id


@pytest.fixture(scope="session")
def database_url(process_name: str) -> str:
    """A migrated database of this process's own."""
    return create_database(f"test_{process_name}", TEMPLATE)


@pytest.fixture(scope="session")
def database(database_url: str) -> Iterator[Database]:
    found = Database(load(DatabaseSettings, DATABASE_URL=database_url, DATABASE_POOL_SIZE=5))
    yield found
    found.close()


@pytest.fixture(scope="session")
def ledger(database: Database) -> Ledger:
    return Ledger(database)


@pytest.fixture(scope="session")
def reader(database: Database) -> LedgerReader:
    return LedgerReader(database)


@pytest.fixture(scope="session")
def temporal_settings(process_name: str) -> TemporalSettings:
    """The real server, in a namespace of this process's own."""
    return load(
        TemporalSettings, TEMPORAL_ADDRESS=os.environ["TESTS_TEMPORAL_ADDRESS"], TEMPORAL_NAMESPACE=process_name
    )


@pytest.fixture(scope="session")
async def client(temporal_settings: TemporalSettings) -> Client:
    return await connect(temporal_settings)


@pytest.fixture(scope="session")
async def idle_client(temporal_settings: TemporalSettings, process_name: str) -> Client:
    """The real server, in a namespace in which no worker runs."""
    return await connect(temporal_settings.model_copy(update={"namespace": f"{process_name}-idle"}))


@pytest.fixture(scope="session")
async def working(client: Client, database: Database) -> AsyncIterator[None]:
    """Workers of every queue on the real server, with the simulated partners."""
    settings = load(WorkerSettings, WORKER_GRACEFUL_SHUTDOWN=1)
    partners = load(PartnerSettings)
    workers = [worker(client, queue, work(database, partners), settings) for queue, work in QUEUES.items()]
    async with workers[0], workers[1], workers[2]:
        yield


@pytest.fixture(scope="session")
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture(scope="session")
def telemetry(spans: InMemorySpanExporter) -> Telemetry:
    """Give the one of this process, which keeps its spans: OpenTelemetry takes no second provider."""
    telemetry = Telemetry(Tracing.to(SimpleSpanProcessor(spans), load(TelemetrySettings)))
    assert telemetry.tracing
    trace.set_tracer_provider(telemetry.tracing.provider)
    return telemetry


@pytest.fixture
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    """Temporal's test server, on which days pass in no time; one a test, since its clock is one for all workflows."""
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=program("temporal-test-server"),
        data_converter=pydantic_data_converter,
        test_server_startup_timeout=timedelta(seconds=30),
    ) as environment:
        yield environment


@pytest.fixture(scope="session")
def served_secrets() -> Iterator[tuple[SecretsManager, str]]:
    """One for all, so that its client, whose making takes its time, is made once."""
    with served(manager := SecretsManager()) as url:
        yield manager, url
        forget_clients()


@pytest.fixture
def secrets_manager(monkeypatch: pytest.MonkeyPatch, served_secrets: tuple[SecretsManager, str]) -> SecretsManager:
    """The AWS of a process that has a role and a region, and no files; it knows no secret yet."""
    manager, url = served_secrets
    manager.forget()
    given = {"ACCESS_KEY_ID": "AKIDEXAMPLE", "SECRET_ACCESS_KEY": "a key", "SESSION_TOKEN": "a session"}
    files = {"CONFIG_FILE": os.devnull, "SHARED_CREDENTIALS_FILE": os.devnull, "EC2_METADATA_DISABLED": "true"}
    for name, value in (given | files | {"REGION": "eu-central-1", "ENDPOINT_URL_SECRETS_MANAGER": url}).items():
        monkeypatch.setenv(f"AWS_{name}", value)
    return manager
