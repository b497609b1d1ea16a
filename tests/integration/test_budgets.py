"""What one order costs on the real servers: the budgets of the design, held."""

from __future__ import annotations

from datetime import UTC, datetime

from temporalio.client import Client

from orders.contracts import (
    ORDERS_QUEUE,
    PlaceOrder,
    order_workflow_id,
    shipment_workflow_id,
)
from orders.ledger.engine import Database
from orders.model import OrderStatus
from orders.policy import Policy, ReviewMode
from orders.workflows.order import OrderWorkflow
from tests.counting import History, Transactions
from tests.examples import DETAILS, new_id

EVENTS, WORKFLOW_TASKS, TRANSACTIONS = 46, 9, 10


async def test_an_order_from_received_to_completed_keeps_its_budget(
    client: Client, database: Database, working: None
) -> None:
    order_id = new_id()
    with Transactions(database) as counting:
        status = await client.execute_workflow(
            OrderWorkflow.run,
            PlaceOrder(order_id, DETAILS, datetime.now(UTC), "ann", Policy(review_mode=ReviewMode.OFF)),
            id=order_workflow_id(order_id),
            task_queue=ORDERS_QUEUE,
        )
    cost = await History.of(client, order_workflow_id(order_id), shipment_workflow_id(f"{order_id}:1"))
    assert status is OrderStatus.COMPLETED
    print(f"{cost.events} events, {cost.workflow_tasks} workflow tasks, {counting.so_far} transactions")
    assert cost.events <= EVENTS
    assert cost.workflow_tasks <= WORKFLOW_TASKS
    # Three of them are the ledger's, the others those of the simulated partners' books.
    assert counting.so_far <= TRANSACTIONS
    assert counting.so_far >= 3, "nothing was counted"
