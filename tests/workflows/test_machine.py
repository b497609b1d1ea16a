"""Random lives: messages in any order, twice, late and at once, against partners that fail and wait.

The workflows are real, on the server that skips time; so is the ledger. Whatever happens, the order ends, and money,
stock and records are right. ``EXPLORE=500`` tries so many lives that nobody has seen before.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError, WorkflowUpdateHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from cli.embedded import program
from orders.contracts import (
    REFUSED,
    AmendOrder,
    CancelOrder,
    CancelPayment,
    ChangeAddress,
    RetryPayment,
    ReviewOrder,
)
from orders.details import OrderLine
from orders.ledger.engine import Database
from orders.ledger.reader import LedgerReader
from orders.ledger.writer import Ledger
from orders.model import FINAL, EventType, OrderStatus, ShipmentStatus
from orders.order import Order, fold
from orders.policy import CaptureMode, Policy, ReviewMode
from orders.workflows.order import OrderWorkflow
from tests.examples import DETAILS, WORK, new_id
from tests.fakes import FakeCarrier, FakePayments, FakeWarehouse, Gate
from tests.workflows.abandoning import Abandoning
from tests.workflows.conftest import ACCEPTED, OrderHandle, Shop

T = TypeVar("T")
PARTS = 4
LEAST = 4
"""How many steps a life has before it may be cancelled: otherwise most would end so, and early."""
EXAMPLES = int(os.environ.get("EXPLORE") or 60) // PARTS
MESSAGES: dict[str, Any] = {
    "approve": ReviewOrder(approved=True, note=None, actor="bob"),
    "reject": ReviewOrder(approved=False, note="a fraud", actor="bob"),
    "take what there is": AmendOrder(None, "ann"),
    "drop the first": AmendOrder({"first": 0}, "ann"),
    "empty the order": AmendOrder({"first": 0, "second": 0}, "ann"),
    "move": ChangeAddress(WORK, "ann"),
    "move again": ChangeAddress(replace(WORK, street="2 Market St"), "ann"),
    "cancel the payment": CancelPayment("wrong card", "ann"),
    "offer a good card": RetryPayment("tok_amex", "ann"),
    "offer a bad card": RetryPayment("tok_declined", "ann"),
}
CANCEL = CancelOrder("changed my mind", "ann", "a" * 32)
UPDATES = {
    CancelOrder: OrderWorkflow.cancel,
    ReviewOrder: OrderWorkflow.review,
    AmendOrder: OrderWorkflow.amend,
    ChangeAddress: OrderWorkflow.change_address,
    CancelPayment: OrderWorkflow.cancel_payment,
    RetryPayment: OrderWorkflow.retry_payment,
}
POLICIES = st.builds(
    Policy,
    review_mode=st.sampled_from([ReviewMode.OFF, *ReviewMode]),
    review_timeout=st.sampled_from([timedelta(seconds=3), timedelta(days=1)]),
    review_threshold=st.sampled_from([None, 2000]),
    payment_capture=st.sampled_from(CaptureMode),
    dispatch_attempts=st.integers(1, 3),
)


@dataclass
class Laboratory:
    """The servers and workers that all lives of a test share, in a thread with an event loop of its own."""

    database: Database
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    running: AsyncExitStack = field(default_factory=AsyncExitStack)
    shop: Shop = field(init=False)

    def start(self) -> None:
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.shop = self.run(self._open())

    def stop(self) -> None:
        self.run(self.running.aclose())
        self.loop.call_soon_threadsafe(self.loop.stop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(90)

    def query(self, statement: str, **values: Any) -> list[Any]:
        return self.database.run(lambda connection: list(connection.execute(text(statement), values).all()))

    def execute(self, statement: str, **values: Any) -> None:
        self.database.run(lambda connection: connection.execute(text(statement), values))

    async def _open(self) -> Shop:
        environment = await WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=program("temporal-test-server"), data_converter=pydantic_data_converter
        )
        await self.running.enter_async_context(environment)
        shop = Shop(environment, interceptors=[Abandoning()])
        shop.ledger = Ledger(self.database)  # type: ignore[assignment]
        self.running.callback(ThreadPoolExecutor(1).shutdown)
        for worker in shop.workers():
            await self.running.enter_async_context(worker)
        return shop


@pytest.fixture(scope="module")
def laboratory(database: Database) -> Iterator[Laboratory]:
    found = Laboratory(database)
    found.start()
    yield found
    found.stop()


class Life(RuleBasedStateMachine):
    """One order, and everything that may happen to it."""

    laboratory: Laboratory

    def __init__(self) -> None:
        super().__init__()
        self.shop = self.laboratory.shop
        self.run = self.laboratory.run
        self.handle: OrderHandle | None = None
        self.asked: list[WorkflowUpdateHandle[Any]] = []
        self.told = 0
        self.steps = 0
        self.closed: set[str] = set()

    @initialize(
        policy=POLICIES,
        method=st.sampled_from(["tok_visa", "tok_visa", "tok_declined"]),
        pieces=st.integers(1, 3),
        on_shelf=st.integers(0, 4),
        refusals=st.integers(0, 2),
        failures=st.integers(0, 2),
        lost=st.integers(0, 2),
        travels=st.integers(0, 2),
        expired=st.booleans(),
        closed=st.sets(st.sampled_from(["authorize", "refund", "pick", "dispatch"]), max_size=2),
    )
    def place(
        self,
        policy: Policy,
        method: str,
        pieces: int,
        on_shelf: int,
        refusals: int,
        failures: int,
        lost: int,
        travels: int,
        expired: bool,
        closed: set[str],
    ) -> None:
        shop, mark = self.shop, secrets.token_hex(4)
        shop.order_id = self.order_id = new_id()
        self.skus = {"first": f"FIRST-{mark}", "second": f"SECOND-{mark}"}
        self.on_shelf = {self.skus["first"]: on_shelf, self.skus["second"]: 10}
        for sku, there in self.on_shelf.items():
            self.laboratory.execute("insert into stock values (:sku, :there, 0)", sku=sku, there=there)
        _renew(shop.payments, FakePayments(lost_answers=lost, refund_failures=failures, declines_capture=expired))
        _renew(shop.warehouse, FakeWarehouse())
        _renew(shop.carrier, FakeCarrier(refusals=refusals, delivers_after=travels))
        self.closed = set(closed)
        for name in closed:
            self.gates[name].close()
        lines = (OrderLine(self.skus["first"], pieces, 1000), OrderLine(self.skus["second"], 1, 500))
        details = replace(DETAILS, lines=lines, payment_method=method)
        self.handle = self.run(shop.place(details, policy))

    @property
    def gates(self) -> dict[str, Gate]:
        shop = self.shop
        return {
            "authorize": shop.payments.at_authorize,
            "refund": shop.payments.at_refund,
            "pick": shop.warehouse.at_pick,
            "dispatch": shop.carrier.at_dispatch,
        }

    @rule(names=st.lists(st.sampled_from(sorted(MESSAGES)), min_size=1, max_size=3))
    def ask(self, names: list[str]) -> None:
        """Send messages: one, or some at once, or one twice."""
        self.run(self._ask_all([MESSAGES[name] for name in names]))

    @rule(news=st.sampled_from(["in_transit", "delivered", "lost", "returned"]), again=st.booleans())
    def hear_from_the_carrier(self, news: str, again: bool) -> None:
        self.told += not again
        self.run(self._carrier_says(ShipmentStatus(news), f"evt_{self.told}"))

    @rule(name=st.sampled_from(["authorize", "refund", "pick", "dispatch"]))
    def open_a_gate(self, name: str) -> None:
        self.closed.discard(name)
        self.laboratory.loop.call_soon_threadsafe(self.gates[name].open)

    @rule(passed=st.sampled_from([timedelta(seconds=4), timedelta(hours=2), timedelta(days=4), timedelta(days=15)]))
    @precondition(lambda self: not self.closed)
    def let_time_pass(self, passed: timedelta) -> None:
        self.run(self.shop.environment.sleep(passed))

    @rule(milliseconds=st.sampled_from([5, 20, 60]))
    def wait_a_moment(self, milliseconds: int) -> None:
        self.run(asyncio.sleep(milliseconds / 1000))

    @rule(along=st.sampled_from([*sorted(MESSAGES), None]))
    @precondition(lambda self: self.steps > LEAST)
    def cancel(self, along: str | None) -> None:
        """Cancel the order, twice at once, and with another message at the same time."""
        self.run(self._ask_all([CANCEL, CANCEL, *([MESSAGES[along]] if along else [])]))

    @rule()
    @precondition(lambda self: self.steps > LEAST)
    def cancel_the_workflow_itself(self) -> None:
        assert self.handle
        with suppress(RPCError):
            self.run(self.handle.cancel())

    @invariant()
    def what_is_reserved_is_what_live_orders_hold(self) -> None:
        self.steps += 1
        if not self.handle:
            return
        held = "select coalesce(sum((stock->:sku->>'held')::int), 0) from orders where id = :id"
        for sku in self.on_shelf:
            ((on_hand, reserved, wanted),) = self.laboratory.query(
                f"select on_hand, reserved, ({held}) from stock where sku = :sku", sku=sku, id=self.order_id
            )
            assert reserved == wanted
            assert on_hand <= self.on_shelf[sku]

    def teardown(self) -> None:
        if self.handle:
            self.run(self._end(self.handle))
            self._check()

    async def _end(self, handle: OrderHandle) -> None:
        for gate in self.gates.values():
            gate.open()
        self.shop.carrier.delivers_after = 0
        # Not handle.result(): goods that are under way unpaid wait without limit, and the server would skip all of it.
        for _ in range(60):
            if (await handle.describe()).status is not WorkflowExecutionStatus.RUNNING:
                break
            await self.shop.environment.sleep(timedelta(days=1))
            await self._ask_all([MESSAGES["offer a good card"]])
        else:
            raise AssertionError(f"{self.order_id} does not end")
        self.answers = await asyncio.gather(*(asked.result() for asked in self.asked), return_exceptions=True)
        with pytest.raises(RPCError, match=r"already completed|not found"):
            await handle.start_update(OrderWorkflow.cancel, CANCEL, wait_for_stage=ACCEPTED)
        self.found = await LedgerReader(self.laboratory.database).order(self.order_id)
        trail = await LedgerReader(self.laboratory.database).trail(self.order_id)
        assert trail
        assert trail.is_over
        self.trail = trail.events
        await self.shop.replay(self.found)

    def _check(self) -> None:
        order, shop = self.found, self.shop
        assert order
        assert [event.seq for event in self.trail] == list(range(1, len(self.trail) + 1))
        assert fold(self.order_id, self.trail) == order
        assert order.status in FINAL
        for length in range(1, len(self.trail) + 1):
            payment = fold(self.order_id, self.trail[:length]).payment
            assert 0 <= payment.held <= payment.authorized <= order_total(order, self.trail[:length])
        assert shop.payments.held == order.payment.held
        assert order.payment.held == (order.details.total.amount if order.status is OrderStatus.COMPLETED else 0)
        self._check_stock(order)
        self._check_parcels(order)
        self._check_answers()

    def _check_stock(self, order: Order) -> None:
        for sku, there in self.on_shelf.items():
            ((on_hand, reserved),) = self.laboratory.query(
                "select on_hand, reserved from stock where sku = :sku", sku=sku
            )
            holding = order.stock.get(sku)
            assert (on_hand, reserved) == (there - (holding.taken if holding else 0), 0)
            is_gone = order.status is OrderStatus.COMPLETED or (
                bool(order.shipments) and order.shipment.status is ShipmentStatus.LOST
            )
            assert bool(holding and holding.taken) == (is_gone and sku in order.details.quantities)

    def _check_parcels(self, order: Order) -> None:
        assert all(times == 1 for times in self.shop.carrier.dispatches.values())
        for shipment in order.shipments:
            assert self.shop.carrier.labels.get(shipment.id) == shipment.address
        if order.shipments and order.shipment.address:
            assert order.shipment.address == order.details.shipping_address

    def _check_answers(self) -> None:
        """Who was refused was told why, and the same stands on record."""
        on_record = {event.data["reason"] for event in self.trail if event.type is EventType.REFUSED}
        for answer in self.answers:
            if answer is not None:
                assert isinstance(answer, WorkflowUpdateFailedError)
                assert isinstance(answer.cause, ApplicationError)
                assert answer.cause.type == REFUSED
                assert answer.cause.message in on_record

    async def _ask_all(self, messages: list[Any]) -> None:
        await asyncio.gather(*map(self._ask, messages))

    async def _ask(self, message: Any) -> None:
        assert self.handle
        if isinstance(message, AmendOrder) and message.quantities:
            quantities = {self.skus[name]: qty for name, qty in message.quantities.items()}
            message = replace(message, quantities=quantities)
        update: Any = UPDATES[type(message)]
        with suppress(RPCError):
            self.asked.append(await self.handle.start_update(update, message, wait_for_stage=ACCEPTED))

    async def _carrier_says(self, news: ShipmentStatus, event_id: str) -> None:
        with suppress(RPCError):
            await self.shop.carrier_says(news, event_id)


def order_total(order: Order, trail: list[Any]) -> int:
    """What an order's customer owes at most, before it was amended."""
    return fold(order.id, trail[:1]).details.total.amount


def _renew(fake: Any, new: Any) -> None:
    fake.__dict__.update(new.__dict__)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_life_ends_with_money_stock_and_records_right(laboratory: Laboratory, part: int) -> None:
    number = secrets.randbelow(2**32) if os.environ.get("EXPLORE") else part
    life: Any = seed(number)(type("Life", (Life,), {"laboratory": laboratory}))
    run_state_machine_as_test(
        life,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=8,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink] if os.environ.get("EXPLORE") else [Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
