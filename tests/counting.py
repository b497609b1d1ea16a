"""Counts what an order costs, as the servers themselves count it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, event
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from orders.ledger.engine import Database


class Transactions:
    """How many transactions a process has had in a database.

    Its connections are in autocommit, so each statement is a transaction. The server's own counter (xact_commit) can't
    be used: pg8000 ends each message of the extended protocol with a Sync, and the server counts every one of those.
    """

    def __init__(self, database: Database) -> None:
        self.so_far = 0
        self._engine = database.engine

    def __enter__(self) -> Transactions:
        event.listen(self._engine, "before_cursor_execute", self._count)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._count)

    def _count(self, connection: Connection, *_: Any) -> None:
        driver = connection.connection.dbapi_connection
        assert driver
        assert connection.dialect.detect_autocommit_setting(driver), "a statement is not a transaction here"
        self.so_far += 1


@dataclass(frozen=True)
class History:
    """What a workflow's history holds."""

    events: int
    workflow_tasks: int

    @classmethod
    async def of(cls, client: Client, *workflow_ids: str) -> History:
        events = [
            event
            for workflow_id in workflow_ids
            for event in (await client.get_workflow_handle(workflow_id).fetch_history()).events
        ]
        completed = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        return cls(len(events), sum(event.event_type == completed for event in events))
