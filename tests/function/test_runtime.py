"""The function in AWS's own runtime: from the first event of an environment to the last."""

from __future__ import annotations

import asyncio
import json
import secrets

import psutil
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import text

from orders.ledger.engine import Database
from tests.api.conftest import Api, signed
from tests.examples import body, new_id
from tests.function.conftest import APPLICATION, Collector, marks_of, through
from tests.function.environments import Environment
from tests.function.events import GATEWAYS
from tests.function.runtime_api import Failed, new_trace_header
from tests.spans import PLACED, Node, context_of, trace_of, tree_of

KINDS = pytest.mark.parametrize("gateway", GATEWAYS)
METRICS = {"http.server.request.duration", "db.client.connection.count", "temporal_request_latency"}
WARM = 60
"""How many invocations one environment has to bear without growing."""


def traced() -> tuple[str, dict[str, str]]:
    """A new trace, and the header that says so."""
    trace_id = secrets.token_hex(16)
    return trace_id, {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}


def parent_of(span: ReadableSpan) -> str | None:
    return f"{span.parent.span_id:016x}" if span.parent else None


async def test_an_order_placed_by_a_v2_event_and_followed_by_v1_events_is_delivered_in_one_trace(
    environment: Environment, at_work: None, collector: Collector, spans: InMemorySpanExporter
) -> None:
    trace_id, headers = traced()
    async with through(environment, "http-api") as v2, through(environment, "rest-api") as v1:
        placed = await v2.post("/orders", json=body(), headers=headers)
        assert (placed.status_code, placed.headers["Trace-Id"]) == (201, trace_id), placed.text
        order = await Api(v1).until(placed.json()["id"], "completed")
        assert order["payment"]["captured"] == "99.99"
        assert (await Api(v1).trail(order["id"]))[-1] == "completed"
    async with asyncio.timeout(10):
        while not trace_of(spans, trace_id).named("CompleteWorkflow:OrderWorkflow"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await collector.until(trace_id, "StartWorkflow:OrderWorkflow")
    told = [
        Node(span.span_id.hex(), span.parent_span_id.hex(), span.name, span.start_time_unix_nano)
        for span in collector.of(trace_id)
    ]
    worked = [
        Node(f"{context_of(span).span_id:016x}", parent_of(span), span.name, span.start_time or 0)
        for span in trace_of(spans, trace_id).found
    ]
    assert tree_of(told + worked) == PLACED


async def test_what_there_is_to_tell_is_sent_before_the_environment_is_frozen(
    environment: Environment, collector: Collector
) -> None:
    trace_id, headers = traced()
    async with through(environment) as http:
        await http.get(f"/orders/{new_id()}", headers=headers)
        # Of all that are asked Temporal is one.
        await http.get("/readyz")
    environment.freeze()
    try:
        span = await collector.until(trace_id, "GET /orders/{order_id}")
        async with asyncio.timeout(5):
            while not collector.metrics >= METRICS:  # noqa: ASYNC110 - the collector says nothing by itself
                await asyncio.sleep(0.01)
    finally:
        environment.thaw()
    assert marks_of(span)["http.response.status_code"] == 404


async def test_the_first_invocation_and_no_other_is_marked_as_a_cold_start(
    environment: Environment, collector: Collector
) -> None:
    trace_id, headers = traced()
    async with through(environment) as http:
        for _ in range(2):
            await http.get(f"/orders/{new_id()}", headers=headers)
    await collector.until(trace_id, "GET /orders/{order_id}")
    ids = [answered for answered, _ in environment.api.answered]
    told = {marks.get("faas.invocation_id"): marks for marks in map(marks_of, collector.spans)}
    cold = [told[each]["faas.coldstart"] for each in ids if each in told]
    assert len(cold) > 1
    assert cold == [True] + [False] * (len(cold) - 1)
    assert told[ids[-1]]["faas.trigger"] == "http"


async def test_a_warm_environment_does_not_grow(environment: Environment, database: Database) -> None:
    gateways = list(GATEWAYS)

    async def ask(times: int) -> None:
        for number in range(times):
            async with through(environment, gateways[number % len(gateways)]) as http:
                assert (await http.get("/orders", params={"limit": 1})).status_code == 200
                assert (await http.get(f"/orders/{new_id()}/events")).status_code == 404

    def size() -> tuple[int, int, int]:
        connections = text("select count(*) from pg_stat_activity where application_name = :name")
        with database.engine.connect() as connection:
            found = connection.execute(connections, {"name": APPLICATION}).scalar_one()
        return process.num_threads(), process.num_fds(), found

    await ask(WARM // 6)
    process = psutil.Process(environment.pid)
    before, memory = size(), process.memory_info().rss
    await ask(WARM // 2)
    # A leak grows with each of them; one more or less is what is under way.
    assert all(now - then <= 2 for now, then in zip(size(), before, strict=True)), f"{before} became {size()}"
    assert process.memory_info().rss - memory < 4 * 1024 * 1024


@KINDS
async def test_every_gateway_gets_what_it_understands(environment: Environment, gateway: str) -> None:
    event = {"id": "evt_1", "shipment": f"{new_id()}:1", "status": "in_transit", "at": "2026-01-01T00:00:00Z"}
    async with through(environment, gateway) as http:
        missing = await http.get(f"/orders/{new_id()}")
        wrong = await http.post("/orders", json=body(customer_name=7))
        unknown = await http.post("/webhooks/carrier", **signed(event))
        forged = await http.post("/webhooks/carrier", **{**signed(event), "content": json.dumps(event, indent=1)})
        found = await http.get("/orders", params={"customer_email": "zoë+1@example.com", "status": ["paid", "shipped"]})
    for answer, status in ((missing, 404), (wrong, 422), (unknown, 404), (forged, 403)):
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json"), answer.text
        assert answer.json()["trace_id"] == answer.headers["Trace-Id"]
    assert wrong.json()["errors"][0]["pointer"] == "#/customer_name"
    assert (found.status_code, found.json()["data"]) == (200, [])


@KINDS
async def test_a_name_is_taken_in_every_script(environment: Environment, at_work: None, gateway: str) -> None:
    name = "東京\u3000Zoë 👩\u200d🚀"
    async with through(environment, gateway) as http:
        placed = await http.post("/orders", json=body(customer_name=name))
        assert (placed.status_code, placed.json()["customer_name"]) == (201, name)
        assert placed.headers["Location"] == f"/orders/{placed.json()['id']}"


@pytest.mark.parametrize("is_sampled", [True, False])
async def test_x_ray_neither_loses_nor_forks_the_callers_trace(environment: Environment, is_sampled: bool) -> None:
    trace_id, headers = traced()
    async with through(environment) as http:
        sent = {**headers, "X-Amzn-Trace-Id": new_trace_header(is_sampled)}
        answer = await http.get(f"/orders/{new_id()}", headers=sent, extensions={"xray": new_trace_header(is_sampled)})
    assert answer.headers["Trace-Id"] == trace_id


async def test_where_the_caller_has_none_the_trace_of_x_ray_goes_on(environment: Environment) -> None:
    header = new_trace_header()
    async with through(environment) as http:
        answer = await http.get(f"/orders/{new_id()}", extensions={"xray": header})
    assert answer.headers["Trace-Id"] == header.partition(";")[0].removeprefix("Root=1-").replace("-", "")


async def test_an_event_that_is_no_request_fails_and_the_next_one_does_not(environment: Environment) -> None:
    with pytest.raises(Failed, match="RuntimeError"):
        await asyncio.to_thread(environment.invoke, {"Records": []})
    async with through(environment) as http:
        assert (await http.get("/healthz")).status_code == 200


def test_each_line_of_the_log_is_json_and_names_its_invocation(environment: Environment) -> None:
    others = [line for line in environment.said.split("\n") if line and not line.startswith(("{", "[ERROR]"))]
    assert others == []
    lines = [json.loads(line) for line in environment.said.split("\n") if line.startswith("{")]
    asked = [line for line in lines if line["logger"] == "api.middleware"]
    assert {line["aws_request_id"] for line in asked} <= {answered for answered, _ in environment.api.answered}
    assert len({line["aws_request_id"] for line in asked}) == len(asked)
