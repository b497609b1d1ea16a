"""How much waits for the workers, and whether there are any."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from api.auth import Scope
from api.dependencies import Services, needs, services
from api.problems import GUARDED, responses
from api.schemas import QueueView, Stats
from orders.deadline import remaining
from orders.readiness import PATIENCE
from orders.temporal import queue_stats

router = APIRouter(tags=["stats"])


@router.get("/stats", operation_id="getStats", dependencies=[needs(Scope.OPERATE)], responses=responses(*GUARDED))
async def stats(services: Annotated[Services, Depends(services)]) -> Stats:
    """Say of each task queue how many tasks wait and how long the oldest has, how many come and go, and who works."""
    found = await queue_stats(services.client, remaining(PATIENCE))
    return Stats(queues=[QueueView.of(queue) for queue in found])
