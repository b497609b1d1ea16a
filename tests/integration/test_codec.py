"""With keys, nothing that Temporal stores tells of customers; keys come and go while orders are under way."""

from __future__ import annotations

import asyncio
import base64
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from cli.embedded import free_port, temporal_command
from orders.contracts import ChangeAddress, order_workflow_id
from orders.errors import DependencyUnavailable, PartnerUnavailable
from orders.ledger.engine import Database
from orders.model import OrderStatus
from orders.settings import TemporalSettings, load
from orders.temporal import connect, ping
from orders.workflows.order import OrderWorkflow
from tests.api.conftest import http_of, services_of
from tests.examples import HOME, body, new_id
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
            temporal_command(port=port, state=state, namespaces=("shown", "hidden")),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    yield f"127.0.0.1:{port}", state
    server.kill()
    server.wait(10)


async def started(address: str, namespace: str, *keys: str) -> Client:
    """A client with these keys, as soon as the server answers."""
    settings = with_keys(load(TemporalSettings, TEMPORAL_ADDRESS=address, TEMPORAL_NAMESPACE=namespace), *keys)
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


def told_by(who: str) -> dict[str, str]:
    """What is known of a customer, and is nobody else's business."""
    return {
        "name": f"{who} Zwiebelfisch",
        "email": f"{who.lower()}@zwiebelfisch.example",
        "street": f"{who}strasse 17",
        "other street": f"{who}gasse 4",
        "failure": f"{who} has no account",
        "note": f"{who} has called",
    }


async def buy(client: Client, database: Database, personal: dict[str, str]) -> Shop:
    """Place an order by the API, send it elsewhere, approve of it, and have its payment fail at first."""
    shop = Shop(WorkflowEnvironment.from_client(client))
    shop.payments.away = PartnerUnavailable(personal["failure"])
    address = {"street": personal["street"], "city": "Anytown", "state": "CA"}
    ordered = body(customer_name=personal["name"], customer_email=personal["email"], shipping_address=address)
    async with workers(shop, client, client, client), http_of(services_of(client, database, BY_PERSON)) as http:
        shop.order_id = (await http.post("/orders", json=ordered)).json()["id"]
        handle: OrderHandle = client.get_workflow_handle_for(OrderWorkflow.run, order_workflow_id(shop.order_id))
        await shop.until("review_started")
        elsewhere = ChangeAddress(replace(HOME, street=personal["other street"]), "ann")
        await handle.execute_update(OrderWorkflow.change_address, elsewhere)
        await handle.execute_update(OrderWorkflow.review, replace(APPROVE, note=personal["note"]))
        while not shop.payments.asked:  # noqa: ASYNC110 - the provider has no event to wait for
            await asyncio.sleep(0.01)
        shop.payments.away = None
        assert await handle.result() is OrderStatus.COMPLETED
    return shop


async def test_a_dump_of_temporal_tells_of_a_customer_only_where_there_are_no_keys(
    storing: tuple[str, Path], database: Database
) -> None:
    address, state = storing
    shown, hidden = told_by("Isolde"), told_by("Ottokar")
    clients = await started(address, "shown"), await started(address, "hidden", OLD)
    shops = await asyncio.gather(buy(clients[0], database, shown), buy(clients[1], database, hidden))
    sought = {form: text for text in (*shown.values(), *hidden.values()) for form in forms(text)}
    found = {text for content in stored(state) for form, text in sought.items() if form in content}
    assert found == set(shown.values())
    for shop in shops:
        await shop.replay()


# Keys that come and go


async def until(happened: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await happened():  # noqa: ASYNC110 - Temporal has no event to wait for
            await asyncio.sleep(0.02)


async def has_failed(handle: OrderHandle) -> bool:
    failed = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    return any(event.event_type == failed for event in (await handle.fetch_history()).events)


async def is_tried_again(handle: OrderHandle) -> bool:
    return any(each.attempt > 1 for each in (await handle.describe()).raw_description.pending_activities)


async def ended(client: Client, workflow_id: str) -> OrderStatus:
    return await client.get_workflow_handle_for(OrderWorkflow.run, workflow_id).result()


async def test_an_order_whose_key_a_worker_lacks_waits_for_it_and_loses_nothing(encrypted: TemporalSettings) -> None:
    ours, theirs = [await connect(with_keys(encrypted, each)) for each in (OLD, NEW)]
    both = await connect(with_keys(encrypted, NEW, OLD))
    shop = Shop(WorkflowEnvironment.from_client(ours))
    handle = await shop.place(task_timeout=QUICKLY)
    async with workers(shop, theirs, theirs, theirs):
        await until(partial(has_failed, handle))
    assert shop.trail == []
    async with workers(shop, both, both, both):
        assert await ended(both, handle.id) is OrderStatus.COMPLETED
    assert shop.payments.asked.total() == 1


async def test_a_step_whose_key_a_worker_lacks_is_tried_until_it_is_there(encrypted: TemporalSettings) -> None:
    ours, theirs, both = [await connect(with_keys(encrypted, *each)) for each in ([OLD], [NEW], [OLD, NEW])]
    shop = Shop(WorkflowEnvironment.from_client(ours))
    handle = await shop.place()
    async with workers(shop, ours, theirs, ours):
        await until(partial(is_tried_again, handle))
    assert shop.payments.asked.total() == 0
    async with workers(shop, both, both, both):
        assert await handle.result() is OrderStatus.COMPLETED


RINGS = [[], ["plain", OLD], [OLD], [OLD, NEW], [NEW, OLD], [NEW, OLD], [NEW]]
"""The keys, step by step, as docs/encryption.md has encryption begin and its key exchanged. The old one stays until all
processes have the new one first, and no order is left that was placed before."""


async def test_encryption_begins_and_keys_change_while_orders_are_under_way(encrypted: TemporalSettings) -> None:
    clients = [await connect(with_keys(encrypted, *ring)) for ring in RINGS]
    shop, under_way = Shop(WorkflowEnvironment.from_client(clients[0])), ""

    async def place(by: Client) -> str:
        shop.order_id, shop.environment = new_id(), WorkflowEnvironment.from_client(by)
        placed = await shop.place(policy=BY_PERSON)
        await shop.until("review_started")
        return placed.id

    async def finish(by: Client, workflow_id: str) -> None:
        handle: OrderHandle = by.get_workflow_handle_for(OrderWorkflow.run, workflow_id)
        await handle.execute_update(OrderWorkflow.review, APPROVE)
        assert await handle.result() is OrderStatus.COMPLETED

    for old, new in pairwise(clients):
        # Some processes have the keys of the next step already, others not yet.
        for one, other in ((old, new), (new, old)):
            async with workers(shop, one, other, one):
                if under_way:
                    await finish(other, under_way)
                under_way = await place(one)
    (start, *_) = (await clients[-1].get_workflow_handle(under_way).fetch_history()).events
    (ordered,) = start.workflow_execution_started_event_attributes.input.payloads
    assert ordered.metadata["encryption-key-id"] == b"new"
