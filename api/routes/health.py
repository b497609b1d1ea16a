"""Probes: whether the process lives, and whether it can serve."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api.dependencies import Services, services
from api.problems import RETRY_AFTER, problem, responses
from api.schemas import Health
from orders.readiness import waiting_for

router = APIRouter(tags=["health"])


@router.get("/healthz", operation_id="getHealth", responses=responses())
async def healthz() -> Health:
    """Answer while the process lives; asks nothing of anybody."""
    return Health(status="ok")


@router.get("/readyz", operation_id="getReadiness", response_model=Health, responses=responses())
async def readyz(request: Request, services: Annotated[Services, Depends(services)]) -> Health | Response:
    """Answer 200 when Temporal and PostgreSQL answer and the migrations were run, and 503 naming what is missing."""
    if missing := await services.missing():
        return problem(request, "unavailable", waiting_for(missing), headers=RETRY_AFTER)
    return Health(status="ready")
