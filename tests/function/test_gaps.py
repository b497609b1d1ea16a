"""What goes wrong for an environment: frozen, cut off, late, or without its settings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from sqlalchemy import text

from orders.ledger.engine import Database
from tests.api.conftest import CARRIER_SECRETS, signed
from tests.examples import body, new_id
from tests.function.conftest import APPLICATION, FLUSH, Collector, through
from tests.function.environments import Environment
from tests.function.relay import Relay
from tests.function.runtime_api import Failed
from tests.secrets_manager import ARN, SecretsManager, served

TERMINATE = text("select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = :name")


async def test_a_database_connection_that_died_in_the_freeze_is_replaced(
    idle_environment: Environment, database: Database
) -> None:
    async with through(idle_environment) as http:
        assert (await http.get("/orders")).status_code == 200
        idle_environment.freeze()
        with database.engine.connect() as connection:
            assert connection.execute(TERMINATE, {"name": APPLICATION}).scalar_one() > 0
        idle_environment.thaw()
        assert (await http.get("/orders")).status_code == 200


@pytest.mark.parametrize("how", [Relay.cut, Relay.lose], ids=["with a word", "without a word"])
async def test_a_connection_to_temporal_that_died_in_the_freeze_is_replaced(
    idle_environment: Environment, way_to_temporal: Relay, how: Callable[[Relay], None]
) -> None:
    async with through(idle_environment) as http:
        assert (await http.post("/orders", json=body())).status_code == 201
        idle_environment.freeze()
        how(way_to_temporal)
        # Nothing is heard for longer than TEMPORAL_KEEP_ALIVE.
        await asyncio.sleep(1.1)
        idle_environment.thaw()
        begun = time.monotonic()
        answer = await http.post("/orders", json=body())
        assert answer.status_code == 201, answer.text
        assert time.monotonic() - begun < 5


async def test_an_invocation_with_three_seconds_left_ends_with_a_problem_before_they_are_over(
    idle_environment: Environment,
) -> None:
    async with through(idle_environment) as http:
        placed = (await http.post("/orders", json=body())).json()
        # No worker takes the message.
        answer = await http.post(f"/orders/{placed['id']}/cancel", extensions={"left": 3.0})
    assert (answer.status_code, answer.headers["Content-Type"]) == (504, "application/problem+json"), answer.text


async def test_who_waits_for_events_longer_than_the_function_may_is_answered_in_time(
    idle_environment: Environment,
) -> None:
    async with through(idle_environment) as http:
        placed = (await http.post("/orders", json=body())).json()
        path = f"/orders/{placed['id']}/events"
        answer = await http.get(path, params={"wait": 25}, extensions={"left": 4.0})
    assert (answer.status_code, answer.json()) == (200, {"data": [], "next": "0"})


async def test_a_collector_that_hangs_delays_an_answer_by_the_bound_and_once(
    idle_environment: Environment, collector: Collector
) -> None:
    async with through(idle_environment) as http:
        # Its start is not what is measured.
        await http.get(f"/orders/{new_id()}")
        collector.relay.hold()
        try:
            took = []
            for _ in range(3):
                begun = time.monotonic()
                assert (await http.get(f"/orders/{new_id()}")).status_code == 404
                took.append(time.monotonic() - begun)
        finally:
            collector.relay.go_on()
    assert FLUSH <= max(took) < FLUSH + 0.5
    assert sum(took) < FLUSH + 1


async def test_settings_that_can_not_be_had_are_said_to_be_away_and_had_later(
    make_environment: Callable[..., Environment],
) -> None:
    manager = SecretsManager()
    manager.refusals = ["InternalServiceError"] * 9
    with served(manager) as url:
        changes = {"AWS_ENDPOINT_URL_SECRETS_MANAGER": url, "SETTINGS_SECRET_ARN": ARN, "CARRIER_WEBHOOK_SECRETS": ""}
        environment = make_environment(**changes)
        news = {"id": "evt_1", "shipment": f"{new_id()}:1", "status": "in_transit", "at": "2026-01-01T00:00:00Z"}
        async with through(environment) as http:
            away = await http.post("/webhooks/carrier", **signed(news))
            manager.refusals = []
            manager.put(ORDER_MAX_TOTAL="much")
            with pytest.raises(Failed, match="InvalidSetting: ORDER_MAX_TOTAL"):
                await http.get("/healthz")
            manager.put(ORDER_MAX_TOTAL="500", LOG_LEVEL="DEBUG", CARRIER_WEBHOOK_SECRETS=",".join(CARRIER_SECRETS))
            assert (await http.get("/healthz")).status_code == 200
            there = await http.post("/webhooks/carrier", **signed(news))
    assert (away.status_code, away.headers["Content-Type"]) == (503, "application/problem+json")
    assert int(away.headers["Retry-After"]) > 0
    assert (there.status_code, there.json()["type"]) == (404, "urn:order-lifecycle:problem:not-found"), there.text
    assert "not started yet: Secrets Manager" in environment.said
    assert "GET /healthz: 200" in environment.said, "what the log is to tell was in the secret"


async def test_a_setting_that_can_not_be_used_fails_the_start_until_it_is_mended(
    make_environment: Callable[..., Environment], environment: Environment
) -> None:
    broken = make_environment(DATABASE_URL="mysql://here/orders")
    with pytest.raises(Failed, match="InvalidSetting: DATABASE_URL: mysql is not PostgreSQL"):
        await asyncio.to_thread(broken.start)
    broken.settings["DATABASE_URL"] = environment.settings["DATABASE_URL"]
    async with through(broken) as http:
        assert (await http.get("/orders")).status_code == 200
