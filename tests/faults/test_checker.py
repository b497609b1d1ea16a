"""The auditor finds each thing that can be wrong, on real orders that lack nothing."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from temporalio.client import WorkflowHandle

from orders.contracts import ORDERS_QUEUE, CancelOrder, ChangeAddress, PlaceOrder, order_workflow_id
from orders.details import OrderDetails, OrderLine
from orders.ledger.engine import Database
from orders.model import OrderStatus
from orders.policy import CaptureMode, Patience, Policy, ReviewMode
from orders.settings import DatabaseSettings, PartnerSettings, TemporalSettings, WorkerSettings, load
from orders.temporal import connect
from orders.workflows.order import OrderWorkflow
from tests.examples import DETAILS, HOME, WORK
from tests.faults.breaks import BREAKS
from tests.faults.checker import MOVING, WAITS_FOR_MONEY, audit, final_states, moving, violations
from tests.servers import TEMPLATE, create_database
from workers.queues import QUEUES
from workers.runner import worker

SWIFT = load(PartnerSettings, PAYMENT_LATENCY=0, WAREHOUSE_LATENCY=0, CARRIER_LATENCY=0)
AT_ONCE = Policy(review_mode=ReviewMode.OFF, partners=Patience(retry_after=timedelta(milliseconds=20)))
BY_PERSON = replace(AT_ONCE, review_mode=ReviewMode.REQUIRED, review_timeout=timedelta(days=1))
ON_DISPATCH = replace(AT_ONCE, payment_capture=CaptureMode.ON_DISPATCH)
UNREACHABLE = replace(DETAILS, shipping_address=replace(HOME, country="AQ"))
DECLINED = replace(DETAILS, payment_method="tok_declined")
SCARCE = replace(DETAILS, lines=(OrderLine("SCARCE", 5, 100),))
CANCEL = CancelOrder("changed my mind", "ann")

ORDERS: dict[str, tuple[OrderDetails, Policy]] = {
    "completed": (DETAILS, AT_ONCE),
    "held_first": (DETAILS, ON_DISPATCH),
    "answer_lost": (replace(DETAILS, payment_method="tok_answer_lost"), AT_ONCE),
    "redirected": (UNREACHABLE, AT_ONCE),
    "cancelled": (DETAILS, BY_PERSON),
    "refunded": (UNREACHABLE, AT_ONCE),
    "voided": (UNREACHABLE, ON_DISPATCH),
    "rejected": (replace(DETAILS, lines=(OrderLine("UNHEARD-OF", 1, 100),)), AT_ONCE),
    "expired": (DECLINED, replace(AT_ONCE, payment_timeout=timedelta(milliseconds=10))),
    "failed": (UNREACHABLE, replace(AT_ONCE, dispatch_attempts=1)),
    "uncollected": (replace(DETAILS, payment_method="tok_capture_declined"), ON_DISPATCH),
    "in_review": (DETAILS, BY_PERSON),
    "short": (SCARCE, AT_ONCE),
    "unpaid": (DECLINED, AT_ONCE),
}
"""Orders by their names, which are their ids: one for each way to end, and to wait."""
CANCELLED = ("cancelled", "refunded", "voided")
RESTS = {
    "redirected": "fulfilling",
    "refunded": "fulfilling",
    "voided": "fulfilling",
    "cancelled": "in_review",
    "in_review": "in_review",
    "short": "awaiting_customer",
    "unpaid": "payment_failed",
}
"""Where an order comes to rest until somebody says something."""


@dataclass(frozen=True)
class Audited:
    """A database in which nothing moves any more, and what was in stock at first."""

    url: str
    database: Database
    stock: dict[str, int]


@pytest.fixture(scope="module")
async def audited(temporal_settings: TemporalSettings, process_name: str) -> AsyncIterator[Audited]:
    url = create_database(f"audited_{process_name}", TEMPLATE)
    database = Database(load(DatabaseSettings, DATABASE_URL=url))
    rows = database.run(lambda connection: connection.execute(text("select sku, on_hand from stock")).tuples().all())
    client = await connect(temporal_settings.model_copy(update={"namespace": f"{process_name}-audited"}))
    handles = {
        name: await client.start_workflow(
            OrderWorkflow.run,
            PlaceOrder(name, details, datetime.now(UTC), "ann", policy),
            id=order_workflow_id(name),
            task_queue=ORDERS_QUEUE,
        )
        for name, (details, policy) in ORDERS.items()
    }
    async with AsyncExitStack() as running:
        for queue, work in QUEUES.items():
            settings = load(WorkerSettings, WORKER_GRACEFUL_SHUTDOWN=0)
            await running.enter_async_context(worker(client, queue, work(database, SWIFT), settings))
        await asyncio.gather(*(_live(database, name, handle) for name, handle in handles.items()))
    yield Audited(url, database, dict(rows))
    database.close()


async def _live(database: Database, name: str, handle: WorkflowHandle[OrderWorkflow, OrderStatus]) -> None:
    """Lead an order to its end, or to where it waits."""
    if name == "uncollected":
        await _until(database, name, WAITS_FOR_MONEY)
        return
    if name in RESTS:
        await _until(database, name, f"status = '{RESTS[name]}' and waiting_until is not null")
    if name in CANCELLED:
        await handle.execute_update(OrderWorkflow.cancel, CANCEL)
    if name == "redirected":
        await handle.execute_update(OrderWorkflow.change_address, ChangeAddress(WORK, "ann"))
    if name not in RESTS or name in (*CANCELLED, "redirected"):
        await handle.result()


async def _until(database: Database, name: str, condition: str) -> None:
    query = text(f"select 1 from orders where id = '{name}' and {condition}")
    async with asyncio.timeout(20):
        while not await database.run_async(lambda connection: connection.execute(query).all()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def test_of_orders_that_lack_nothing_nothing_is_found(audited: Audited) -> None:
    assert violations(audited.url, ORDERS, cancelled=CANCELLED, initial_stock=audited.stock) == []


def test_the_states_of_all_orders_are_counted(audited: Audited) -> None:
    assert final_states(audited.url) == {
        "completed": 4,
        "cancelled": 3,
        "rejected": 1,
        "expired": 1,
        "failed": 1,
        "shipped": 1,
        "in_review": 1,
        "awaiting_customer": 1,
        "payment_failed": 1,
    }


@pytest.fixture
def broken(audited: Audited) -> Iterator[Connection]:
    """A transaction that is undone."""
    with audited.database.engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
        yield connection
        connection.rollback()


@pytest.mark.parametrize("name", BREAKS)
def test_what_is_wrong_is_found(audited: Audited, broken: Connection, name: str) -> None:
    statements, expected = BREAKS[name]
    for statement in statements.split("; "):
        assert broken.execute(text(statement.replace(":", r"\:"))).rowcount, "it breaks nothing"
    found = audit(broken, ORDERS, CANCELLED, audited.stock)
    assert any(line.startswith(expected) for line in found), found


def test_an_order_that_is_stuck_still_moves_unless_it_is_the_money_of_goods_that_are_there(
    audited: Audited, broken: Connection
) -> None:
    assert moving(audited.url) == set()
    broken.execute(
        text("update orders set waiting_until = null, stuck = '{\"payment\"\\: \"no answer\"}' where id = 'unpaid'")
    )
    assert broken.execute(text(MOVING)).scalars().all() == ["unpaid"]


def test_an_order_that_was_accepted_and_is_not_there_is_found(audited: Audited) -> None:
    found = violations(audited.url, ["ghost", *ORDERS], initial_stock=audited.stock)
    assert found == ["ghost: accepted: it is not in the database"]


def test_an_order_that_goes_on_after_its_cancel_was_accepted_is_found(audited: Audited) -> None:
    found = violations(audited.url, ORDERS, cancelled=["completed", "ghost"], initial_stock=audited.stock)
    assert found == [
        "completed: cancel: it was accepted, and the order is completed",
        "ghost: cancel: it was accepted of no order",
    ]


def test_clocks_that_are_apart_are_allowed_for(audited: Audited, broken: Connection) -> None:
    broken.execute(text("update events set at = at - interval '1 minute' where type = 'picked'"))
    assert audit(broken, ORDERS, CANCELLED, audited.stock, clock_error=timedelta(minutes=2)) == []
    assert audit(broken, ORDERS, CANCELLED, audited.stock, clock_error=timedelta(seconds=50)) != []


@pytest.mark.parametrize("module", ["checker", "story"])
def test_the_auditor_believes_no_code_of_the_product(module: str) -> None:
    tree = ast.parse((Path(__file__).parent / f"{module}.py").read_text())
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    roots = {name.partition(".")[0] for name in imported}
    assert roots.isdisjoint({"orders", "api", "workers", "cli", "migrations", "benchmarks"})
    assert {name for name in imported if name.startswith("tests")} <= {"tests.faults.story"}
