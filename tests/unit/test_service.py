"""What Temporal says of an order, and what that means for whoever asks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from api.service import OrderService
from orders.contracts import CancelOrder
from orders.errors import DependencyUnavailable, Overloaded
from orders.ledger.reader import LedgerReader
from orders.policy import Policy
from tests.examples import new_id


class Temporal:
    """A client whose every update gets the same error."""

    def __init__(self, status: RPCStatusCode) -> None:
        self._status = status

    def get_workflow_handle_for(self, *_: Any) -> Temporal:
        return self

    async def start_update(self, *_: Any, **__: Any) -> None:
        raise RPCError("Workflow Task in failed state.", self._status, b"")


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (RPCStatusCode.UNAVAILABLE, DependencyUnavailable),
        # Of an order whose worker was killed in the middle of its task.
        (RPCStatusCode.FAILED_PRECONDITION, DependencyUnavailable),
        (RPCStatusCode.RESOURCE_EXHAUSTED, Overloaded),
    ],
)
async def test_a_message_that_temporal_does_not_take_now_may_come_again(
    status: RPCStatusCode, meaning: type[Exception]
) -> None:
    client, ledger = cast("Client", Temporal(status)), cast("LedgerReader", None)
    service = OrderService(client, ledger, Policy(), timedelta(seconds=1))
    with pytest.raises(meaning):
        await service.tell(new_id(), CancelOrder("changed my mind", "ann"))
