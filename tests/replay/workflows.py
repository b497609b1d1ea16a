"""The workflows that are led through histories: all that the workers have."""

from __future__ import annotations

from orders.ledger.engine import Database
from orders.settings import DatabaseSettings, PartnerSettings, load
from workers.queues import QUEUES, Work

_nowhere = Database(load(DatabaseSettings, DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing"))
WORK_OF: dict[str, Work] = {queue: work(_nowhere, load(PartnerSettings)) for queue, work in QUEUES.items()}
WORKFLOWS: list[type] = [workflow for work in WORK_OF.values() for workflow in work.workflows]
