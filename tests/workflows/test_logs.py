"""What workflows log."""

from __future__ import annotations

from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker

from orders.contracts import order_workflow_id
from tests.examples import new_id
from tests.logged import logged
from tests.workflows.talking import Talking


async def test_a_workflow_that_is_led_through_its_history_again_does_not_repeat_itself(client: Client) -> None:
    order_id, queue = new_id(), new_id()
    with logged() as log:
        # Without a cache each of its tasks begins at the beginning.
        async with Worker(client, task_queue=queue, workflows=[Talking], max_cached_workflows=0):
            await client.execute_workflow(Talking.run, 0.01, id=order_workflow_id(order_id), task_queue=queue)
    said = [entry for entry in log.of(workflow.logger.base_logger.name) if entry.get("order_id") == order_id]
    assert [entry["message"].partition(" (")[0] for entry in said] == ["before a wait", "after it"]
    assert {(entry["workflow_id"], entry["task_queue"], entry["attempt"]) for entry in said} == {
        (order_workflow_id(order_id), queue, 1)
    }
