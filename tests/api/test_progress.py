"""What an order is doing: told while partners fail, and also while no worker runs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest

from api.dependencies import Services
from orders.ledger.engine import Database
from orders.policy import Patience, Policy, ReviewMode
from orders.settings import PartnerSettings, TemporalSettings, WorkerSettings, load
from orders.temporal import connect
from tests.api.conftest import Api, http_of, services_of
from tests.keys import key, with_keys
from workers.queues import QUEUES
from workers.runner import worker


async def progress_of(api: Api, order_id: str) -> dict[str, Any]:
    answer = await api.http.get(f"/orders/{order_id}/progress")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def encrypted(settings: TemporalSettings, process_name: str) -> TemporalSettings:
    """What Temporal knows of failed steps has to be decrypted first, as any other."""
    return with_keys(settings.model_copy(update={"namespace": f"{process_name}-failing"}), key("2026-11"))


@pytest.fixture
async def failing_at(
    temporal_settings: TemporalSettings, process_name: str, database: Database
) -> AsyncIterator[Callable[..., Any]]:
    """Shops whose partners fail, or hang, at nearly every call of one step."""
    client = await connect(encrypted(temporal_settings, process_name))
    settings = load(WorkerSettings, WORKER_GRACEFUL_SHUTDOWN=0)
    patience = Patience(timeout=timedelta(seconds=0.2), retry_after=timedelta(seconds=0.2))
    async with AsyncExitStack() as running:

        async def opened(step: str, rate: str) -> Api:
            partners = load(PartnerSettings, FAULTS_STEPS=step, **{rate: "0.999999"})
            for queue, work in QUEUES.items():
                await running.enter_async_context(worker(client, queue, work(database, partners), settings))
            policy = Policy(review_mode=ReviewMode.OFF, partners=patience)
            return Api(await running.enter_async_context(http_of(services_of(client, database, policy))))

        yield opened


@pytest.mark.parametrize(
    ("step", "rate", "what", "waits_for", "error"),
    [
        (
            "authorize",
            "FAULTS_ERROR_RATE",
            "authorize the payment",
            "the payment provider",
            "authorize failed on demand (FAULTS_ERROR_RATE)",
        ),
        (
            "prepare",
            "FAULTS_HANG_RATE",
            "prepare and hand over the parcel",
            "the warehouse and the carrier",
            "no answer in time",
        ),
    ],
)
async def test_a_step_that_is_being_tried_again_is_told_with_its_attempt_and_its_last_error(
    failing_at: Callable[..., Any], step: str, rate: str, what: str, waits_for: str, error: str
) -> None:
    api: Api = await failing_at(step, rate)
    placed = await api.place()
    async with asyncio.timeout(20):
        while True:
            now = await progress_of(api, placed["id"])
            if now["attempts"] and now["attempts"][0]["attempt"] >= 3:
                break
            await asyncio.sleep(0.05)
    assert (now["step"], now["waits_for"], now["source"]) == (what, waits_for, "workflow")
    (attempt,) = now["attempts"]
    assert (attempt["step"], attempt["last_error"]) == (step, error)
    assert attempt["is_running"] or attempt["next_at"]
    await api.http.post(f"/orders/{placed['id']}/cancel")


async def test_an_order_in_review_waits_for_a_decision_until_a_time(patient_api: Api) -> None:
    placed = await patient_api.place()
    await patient_api.until(placed["id"], "in_review")
    now = await progress_of(patient_api, placed["id"])
    assert (now["step"], now["waits_for"], now["attempts"]) == ("review", "a decision: approve or reject", [])
    assert re.match(r"\d{4}-\d{2}-\d{2}T", str(now["until"]))
    await patient_api.http.post(f"/orders/{placed['id']}/cancel")
    ended = await progress_of(patient_api, placed["id"])
    assert (ended["status"], ended["step"], ended["waits_for"], ended["until"]) == ("cancelled", "ended", None, None)


async def test_an_order_whose_workers_are_all_away_is_told_from_the_ledger(
    temporal_settings: TemporalSettings, process_name: str, database: Database
) -> None:
    client = await connect(encrypted(temporal_settings, process_name))
    services: Services = services_of(client, database, Policy(review_mode=ReviewMode.REQUIRED))
    work: Callable[..., object] = QUEUES["orders"]
    async with http_of(services) as http:
        api = Api(http)
        async with worker(client, "orders", work(database, load(PartnerSettings)), load(WorkerSettings)):  # type: ignore[arg-type]
            placed = await api.place()
            await api.until(placed["id"], "in_review")
        now = await progress_of(api, placed["id"])
        assert (now["source"], now["status"], now["step"]) == ("ledger", "in_review", "review")
        assert now["until"]


async def test_an_order_that_no_worker_has_seen_waits_for_one(idle_api: Api) -> None:
    placed = await idle_api.place()
    now = await progress_of(idle_api, placed["id"])
    assert (now["source"], now["step"], now["waits_for"]) == ("ledger", "validate", "a worker of the queue orders")


async def test_an_unknown_order_has_no_progress(api: Api) -> None:
    assert (await api.http.get("/orders/ord_000000000000000000000000/progress")).status_code == 404


async def test_the_trace_of_a_request_stands_in_the_audit_trail(patient_api: Api) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    placed = await patient_api.place()
    await patient_api.until(placed["id"], "in_review")
    await patient_api.http.post(
        f"/orders/{placed['id']}/cancel", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    )
    events = (await patient_api.http.get(f"/orders/{placed['id']}/events")).json()["data"]
    by_trace = {event["type"]: event["trace_id"] for event in events}
    assert by_trace["cancel_requested"] == by_trace["cancelled"] == trace
    assert by_trace["received"] == by_trace["validated"] != trace
    assert all(re.fullmatch("[0-9a-f]{32}", event["trace_id"]) for event in events)


@pytest.mark.parametrize("traceparent", ["", "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01"])
async def test_a_trace_that_can_not_be_is_replaced(patient_api: Api, traceparent: str) -> None:
    placed = await patient_api.place()
    await patient_api.until(placed["id"], "in_review")
    path = f"/orders/{placed['id']}/cancel"
    assert (await patient_api.http.post(path, headers={"traceparent": traceparent})).status_code == 200
    events = (await patient_api.http.get(f"/orders/{placed['id']}/events")).json()["data"]
    assert int(events[-1]["trace_id"], 16)
