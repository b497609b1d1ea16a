"""With keys, nothing that Temporal stores tells of customers; keys come and go while orders are under way."""

from __future__ import annotations

import asyncio
import base64
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import cycle, pairwise
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from cli.embedded import free_port, temporal_command
from orders.contracts import ChangeAddress, order_workflow_id
from orders.details import Address
from orders.errors import DependencyUnavailable, PartnerUnavailable
from orders.ledger.engine import Database
from orders.model import OrderStatus
from orders.settings import TemporalSettings, load
from orders.temporal import connect, ping
from orders.workflows.order import OrderWorkflow
from tests.api.conftest import http_of, services_of
from tests.examples import body, new_id
from tests.keys import key, with_keys
from tests.workflows.conftest import APPROVE, BY_PERSON, OrderHandle, Shop

OLD, NEW = key("old"), key("new")
QUICKLY = timedelta(seconds=1)
"""How soon Temporal gives a task to another worker that one could not do."""


@asynccontextmanager
async def workers(shop: Shop, *clients: Client) -> AsyncIterator[None]:
    """Workers for orders, payments and shipments; each client has keys of its own."""
    async with AsyncExitStack() as running:
        for each in shop.workers(*clients):
            await running.enter_async_context(each)
        yield


@pytest.fixture
async def encrypted(temporal_settings: TemporalSettings, process_name: str) -> TemporalSettings:
    return temporal_settings.model_copy(update={"namespace": f"{process_name}-encrypted"})


# What is stored


@pytest.fixture(scope="module")
def storing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a Temporal of our own, and its file."""
    state, port = tmp_path_factory.mktemp("temporal") / "temporal.db", free_port()
    with (state.parent / "log").open("wb") as log:
        server = subprocess.Popen(
            temporal_command(port=port, state=state, namespaces=("default",)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    yield f"127.0.0.1:{port}", state
    server.kill()
    server.wait(10)


async def started(address: str, *keys: str) -> Client:
    """A client with these keys, as soon as the server answers."""
    settings = with_keys(load(TemporalSettings, TEMPORAL_ADDRESS=address), *keys)
    async with asyncio.timeout(20):
        while True:
            try:
                client = await connect(settings)
                await ping(client, QUICKLY)
            except DependencyUnavailable:
                await asyncio.sleep(0.05)
            else:
                return client


def stored(state: Path) -> Iterator[bytes]:
    """Give the files of the storage as they are, and each value in it in one piece."""
    yield from (file.read_bytes() for file in state.parent.glob(f"{state.name}*"))
    with sqlite3.connect(state) as database:
        for (table,) in database.execute("select name from sqlite_master where type = 'table'").fetchall():
            for row in database.execute(f'select * from "{table}"'):
                yield from (
                    each.encode() if isinstance(each, str) else each for each in row if isinstance(each, (str, bytes))
                )


def forms(text: str) -> list[bytes]:
    """What a text looks like as it is, and somewhere in base64 (RFC 4648)."""
    found = [text.encode()]
    for before in range(3):
        whole = base64.b64encode(b"x" * before + text.encode()).rstrip(b"=")
        found.append(whole[(before * 8 + 5) // 6 : -1])
    return found


@pytest.mark.parametrize("keys", [[], [OLD]], ids=["off", "on"])
async def test_a_dump_of_temporal_names_no_customer_where_there_are_keys(
    storing: tuple[str, Path], database: Database, keys: list[str]
) -> None:
    (address, state), who = storing, "Ottokar" if keys else "Isolde"
    personal = {
        "name": f"{who} Zwiebelfisch",
        "email": f"{who.lower()}@zwiebelfisch.example",
        "street": f"{who}strasse 17",
        "other street": f"{who}gasse 4",
        "failure": f"{who} has no account",
        "note": f"{who} has called",
    }
    client = await started(address, *keys)
    shop = Shop(WorkflowEnvironment.from_client(client))
    shop.payments.away = PartnerUnavailable(personal["failure"])
    ordered = body(
        customer_name=personal["name"],
        customer_email=personal["email"],
        shipping_address={"street": personal["street"], "city": "Anytown", "state": "CA"},
    )
    async with workers(shop, client, client, client), http_of(services_of(client, database, BY_PERSON)) as http:
        shop.order_id = (await http.post("/orders", json=ordered)).json()["id"]
        handle: OrderHandle = client.get_workflow_handle_for(OrderWorkflow.run, order_workflow_id(shop.order_id))
        elsewhere = Address(personal["other street"], "Anytown", "CA", "90210")
        await shop.until("review_started")
        await handle.execute_update(OrderWorkflow.change_address, ChangeAddress(elsewhere, "ann"))
        await handle.execute_update(OrderWorkflow.review, replace(APPROVE, note=personal["note"]))
        while not shop.payments.asked:  # noqa: ASYNC110 - the provider has no event to wait for
            await asyncio.sleep(0.01)
        shop.payments.away = None
        assert await handle.result() is OrderStatus.COMPLETED
    found = {
        name for content in stored(state) for name, text in personal.items() for form in forms(text) if form in content
    }
    assert found == (set() if keys else set(personal))
    await shop.replay()


# Keys that come and go


async def ended(client: Client, workflow_id: str) -> OrderStatus:
    return await client.get_workflow_handle_for(OrderWorkflow.run, workflow_id).result()


async def test_an_order_whose_key_a_worker_lacks_waits_for_it_and_loses_nothing(encrypted: TemporalSettings) -> None:
    ours, theirs = [await connect(with_keys(encrypted, each)) for each in (OLD, NEW)]
    both = await connect(with_keys(encrypted, NEW, OLD))
    shop = Shop(WorkflowEnvironment.from_client(ours))
    handle = await shop.place(task_timeout=QUICKLY)
    failed = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    async with workers(shop, theirs, theirs, theirs), asyncio.timeout(20):
        while all(each.event_type != failed for each in (await handle.fetch_history()).events):
            await asyncio.sleep(0.02)
    assert shop.trail == []
    async with workers(shop, both, both, both):
        assert await ended(both, handle.id) is OrderStatus.COMPLETED
    assert shop.payments.asked.total() == 1


async def test_a_step_whose_key_a_worker_lacks_is_tried_until_it_is_there(encrypted: TemporalSettings) -> None:
    ours, theirs, both = [await connect(with_keys(encrypted, *each)) for each in ([OLD], [NEW], [OLD, NEW])]
    shop = Shop(WorkflowEnvironment.from_client(ours))
    handle = await shop.place()
    async with workers(shop, ours, theirs, ours), asyncio.timeout(20):
        while not (pending := (await handle.describe()).raw_description.pending_activities) or pending[0].attempt < 2:
            await asyncio.sleep(0.02)
    assert shop.payments.asked.total() == 0
    async with workers(shop, both, both, both):
        assert await handle.result() is OrderStatus.COMPLETED


RINGS = [[], ["plain", OLD], [OLD], [OLD, NEW], [NEW, OLD], [NEW]]
"""Encryption is switched on, and its key exchanged, as docs/encryption.md says."""


async def test_encryption_begins_and_keys_change_while_orders_are_under_way(encrypted: TemporalSettings) -> None:
    clients = [await connect(with_keys(encrypted, *ring)) for ring in RINGS]
    shop, under_way = Shop(WorkflowEnvironment.from_client(clients[0])), list[str]()

    async def place(by: Client) -> str:
        shop.order_id, shop.environment = new_id(), WorkflowEnvironment.from_client(by)
        return (await shop.place(policy=BY_PERSON)).id

    async def finish(by: Client, workflow_id: str) -> None:
        handle: OrderHandle = by.get_workflow_handle_for(OrderWorkflow.run, workflow_id)
        await handle.execute_update(OrderWorkflow.review, APPROVE)
        assert await handle.result() is OrderStatus.COMPLETED

    for old, new in pairwise(clients):
        # Some processes have the keys of the next step already, others not yet; in the end all have.
        for processes in ([old, new, old], [new, old, new], [new, new, new]):
            async with workers(shop, *processes):
                for client, workflow_id in zip(cycle(processes), under_way, strict=False):
                    await finish(client, workflow_id)
                under_way = [await place(client) for client in dict.fromkeys(processes)]
                await shop.until("review_started")
    (last,) = under_way
    (start, *_) = (await clients[-1].get_workflow_handle(last).fetch_history()).events
    (ordered,) = start.workflow_execution_started_event_attributes.input.payloads
    assert ordered.metadata["encryption-key-id"] == b"new"
