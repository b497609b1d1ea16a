"""An order is one trace, from the request to the statements, and what comes later is linked to it."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from orders.contracts import order_workflow_id
from orders.ledger.engine import Database
from orders.policy import Policy
from orders.settings import (
    DatabaseSettings,
    PartnerSettings,
    TemporalSettings,
    WorkerSettings,
    load,
)
from orders.telemetry import Telemetry
from orders.temporal import connect
from tests.api.conftest import NO_REVIEW, Api, http_of, services_of, signed
from tests.examples import body
from tests.logged import logged
from tests.spans import PLACED, Spans, as_text, linked_from, name_of, trace_of
from workers.queues import QUEUES
from workers.runner import worker

ATTEMPT = """      RunActivity:authorize
        payment provider authorize
          INSERT
"""
WRITE = """    StartActivity:record
      RunActivity:record
        WITH
"""
CANCEL = """POST /orders/{order_id}/cancel
  StartWorkflowUpdate:cancel
  SELECT
  SELECT"""
CANCELLED = f"""POST /orders
  StartWorkflow:OrderWorkflow
    RunWorkflow:OrderWorkflow
{WRITE}    ValidateUpdate:cancel
    HandleUpdate:cancel
{WRITE}{WRITE}    CompleteWorkflow:OrderWorkflow"""
WEBHOOK = """POST /webhooks/carrier
  SignalWorkflow:carrier_event
  SELECT"""
PARCEL_ENDS = "      CompleteWorkflow:ShippingWorkflow\n"
TRAVELLED = PLACED.replace(
    PARCEL_ENDS,
    f"""      SignalExternalWorkflow:shipment_reported
      HandleSignal:carrier_event
{PARCEL_ENDS}    HandleSignal:shipment_reported
{WRITE}""",
)


@dataclass
class TracedApi(Api):
    exporter: InMemorySpanExporter

    async def ask(self, method: str, path: str, **request: Any) -> str:
        """Ask in the course of a trace of one's own, and return its id."""
        trace_id = secrets.token_hex(16)
        headers = {**request.pop("headers", {}), "traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
        answer = await self.http.request(method, path, headers=headers, **request)
        assert answer.status_code < 400, answer.text
        assert answer.headers["Trace-Id"] == trace_id
        return trace_id

    async def placed(self, **changes: Any) -> tuple[str, str]:
        """Place an order, and return its id and that of its trace."""
        trace_id = await self.ask("POST", "/orders", json=body(**changes))
        span = trace_of(self.exporter, trace_id).named("POST /orders")[0]
        return str((span.attributes or {})["order.id"]), trace_id

    async def until_span(self, trace_id: str, name: str) -> Spans:
        """Wait until a span has ended."""
        async with asyncio.timeout(20):
            while True:
                if (spans := trace_of(self.exporter, trace_id)).named(name):
                    return spans
                await asyncio.sleep(0.02)

    async def whole(self, trace_id: str) -> Spans:
        """Wait for the end of an order's trace."""
        return await self.until_span(trace_id, "CompleteWorkflow:OrderWorkflow")


async def broken() -> None:
    raise LookupError("nobody has thought of it")


@asynccontextmanager
async def a_shop(
    temporal: TemporalSettings,
    database_url: str,
    telemetry: Telemetry,
    exporter: InMemorySpanExporter,
    cached: int = 100,
    transit: str = "0",
) -> AsyncIterator[Callable[[Policy], TracedApi]]:
    database = Database(load(DatabaseSettings, DATABASE_URL=database_url, DATABASE_POOL_SIZE=5))
    telemetry.watch_database(database.engine, "ledger", lambda: database.waiting)
    client = await connect(temporal, telemetry=telemetry)
    workers = load(WorkerSettings, WORKER_GRACEFUL_SHUTDOWN=1, WORKER_CACHED_WORKFLOWS=cached)
    partners = load(PartnerSettings, CARRIER_TRANSIT=transit)
    async with AsyncExitStack() as running:
        running.callback(database.close)
        for queue, work in QUEUES.items():
            await running.enter_async_context(worker(client, queue, work(database, partners), workers))

        def open_with(policy: Policy) -> TracedApi:
            http = http_of(services_of(client, database, policy), telemetry=telemetry, routes={"/broken": broken})
            running.push_async_callback(http.aclose)
            return TracedApi(http, exporter)

        yield open_with


@pytest.fixture(scope="module")
async def shop(
    temporal_settings: TemporalSettings,
    process_name: str,
    database_url: str,
    telemetry: Telemetry,
    spans: InMemorySpanExporter,
) -> AsyncIterator[Callable[[Policy], TracedApi]]:
    there = temporal_settings.model_copy(update={"namespace": f"{process_name}-traced"})
    async with a_shop(there, database_url, telemetry, spans) as opened:
        yield opened


@pytest.fixture(scope="module")
def api(shop: Callable[[Policy], TracedApi]) -> TracedApi:
    return shop(NO_REVIEW)


@pytest.fixture(scope="module")
def patient_api(shop: Callable[[Policy], TracedApi]) -> TracedApi:
    return shop(Policy(review_timeout=timedelta(hours=1)))


@pytest.fixture(scope="module")
async def replaying_api(
    temporal_settings: TemporalSettings,
    process_name: str,
    database_url: str,
    telemetry: Telemetry,
    spans: InMemorySpanExporter,
) -> AsyncIterator[TracedApi]:
    """Its workers remember no order: each step replays the history so far."""
    there = temporal_settings.model_copy(update={"namespace": f"{process_name}-replaying"})
    async with a_shop(there, database_url, telemetry, spans, cached=0) as opened:
        yield opened(NO_REVIEW)


@pytest.fixture(scope="module")
async def travelling_api(
    temporal_settings: TemporalSettings,
    process_name: str,
    database_url: str,
    telemetry: Telemetry,
    spans: InMemorySpanExporter,
) -> AsyncIterator[TracedApi]:
    """Its parcels travel until their carrier says otherwise."""
    there = temporal_settings.model_copy(update={"namespace": f"{process_name}-underway"})
    async with a_shop(there, database_url, telemetry, spans, transit="P30D") as opened:
        yield opened(NO_REVIEW)


async def test_an_order_is_one_trace_from_the_request_to_the_statements(api: TracedApi) -> None:
    _, trace_id = await api.placed()
    assert (await api.whole(trace_id)).tree == PLACED


async def test_replay_records_nothing_twice(replaying_api: TracedApi) -> None:
    _, trace_id = await replaying_api.placed()
    assert (await replaying_api.whole(trace_id)).tree == PLACED


async def test_each_span_below_the_request_names_the_order(api: TracedApi) -> None:
    order_id, trace_id = await api.placed()
    marked = {(span.attributes or {}).get("order.id") for span in (await api.whole(trace_id)).found}
    assert marked == {order_id}


async def test_what_runs_on_a_queue_names_it_and_the_attempt(api: TracedApi) -> None:
    _, trace_id = await api.placed()
    spans = await api.whole(trace_id)
    queues = {
        span.name: ((span.attributes or {})["task.queue"], (span.attributes or {})["attempt"])
        for span in spans.found
        if span.name.startswith("RunActivity:") or span.name in ("INSERT", "carrier book")
    }
    assert queues == {
        "RunActivity:record": ("orders", 1),
        "RunActivity:authorize": ("payments", 1),
        "RunActivity:prepare": ("shipping", 1),
        "RunActivity:dispatch": ("shipping", 1),
        "carrier book": ("shipping", 1),
        "INSERT": ("shipping", 1),
    }


async def test_requests_and_statements_have_todays_attributes(api: TracedApi) -> None:
    _, trace_id = await api.placed()
    spans = await api.whole(trace_id)
    request, statement = spans.named("POST /orders")[0], spans.named("WITH")[0]
    asked, done = dict(request.attributes or {}), dict(statement.attributes or {})
    assert (asked["http.request.method"], asked["http.route"]) == ("POST", "/orders")
    assert (asked["http.response.status_code"], asked["url.path"]) == (201, "/orders")
    assert (done["db.system.name"], done["db.operation.name"]) == ("postgresql", "WITH")
    assert str(done["db.query.text"]).startswith("WITH written AS")


async def test_routes_are_named_by_their_template(api: TracedApi) -> None:
    order_id, trace_id = await api.placed()
    await api.whole(trace_id)
    asked = await api.ask("GET", f"/orders/{order_id}/events")
    spans = trace_of(api.exporter, asked)
    assert spans.tree == "GET /orders/{order_id}/events\n  SELECT"
    assert {(span.attributes or {})["order.id"] for span in spans.found} == {order_id}


async def test_each_attempt_of_a_call_is_a_span_and_says_why_it_failed(api: TracedApi) -> None:
    _, trace_id = await api.placed(payment_method="tok_answer_lost")
    spans = await api.whole(trace_id)
    assert spans.tree == PLACED.replace(ATTEMPT, 2 * ATTEMPT)
    attempts = spans.named("RunActivity:authorize")
    assert [(span.attributes or {})["attempt"] for span in attempts] == [1, 2]
    assert [span.status.status_code for span in attempts] == [StatusCode.ERROR, StatusCode.UNSET]
    assert "answer got lost" in str(attempts[0].status.description)
    assert len({span.parent.span_id for span in attempts if span.parent}) == 1


async def test_a_cancel_is_a_trace_of_its_own_linked_both_ways(patient_api: TracedApi) -> None:
    order_id, placed = await patient_api.placed()
    await patient_api.until(order_id, "in_review")
    cancelled = await patient_api.ask("POST", f"/orders/{order_id}/cancel", json={"reason": "changed my mind"})
    theirs = trace_of(patient_api.exporter, cancelled)
    ours = await patient_api.whole(placed)
    assert theirs.tree == CANCEL
    assert ours.tree == CANCELLED
    assert linked_from(theirs.named("POST /orders/{order_id}/cancel")) == [name_of(ours.named("POST /orders")[0])]
    assert linked_from(ours.named("HandleUpdate:cancel")) == [name_of(theirs.named("StartWorkflowUpdate:cancel")[0])]
    assert linked_from(ours.named("ValidateUpdate:cancel")) == linked_from(ours.named("HandleUpdate:cancel"))
    assert [(span.attributes or {})["order.id"] for span in theirs.named("StartWorkflowUpdate:cancel")] == [order_id]


async def test_what_comes_before_the_orders_first_row_is_linked_to_it_too(
    temporal_settings: TemporalSettings,
    process_name: str,
    database: Database,
    telemetry: Telemetry,
    spans: InMemorySpanExporter,
) -> None:
    # No worker runs there: the row is never written, and the cancel waits in vain.
    there = temporal_settings.model_copy(update={"namespace": f"{process_name}-idle"})
    client = await connect(there, telemetry=telemetry)
    services = services_of(client, database, NO_REVIEW, timeout=timedelta(seconds=0.5))
    async with http_of(services, telemetry=telemetry) as http:
        order_id, placed = await TracedApi(http, spans).placed()
        answer = await http.post(f"/orders/{order_id}/cancel", json={"reason": "at once"})
    cancel = trace_of(spans, answer.headers["Trace-Id"]).named("POST /orders/{order_id}/cancel")
    assert linked_from(cancel) == [name_of(trace_of(spans, placed).named("POST /orders")[0])]


async def test_a_carriers_webhook_is_linked_both_ways_too(travelling_api: TracedApi) -> None:
    order_id, placed = await travelling_api.placed()
    await travelling_api.until(order_id, "shipped")
    delivered = {"id": "evt_1", "shipment": f"{order_id}:1", "status": "delivered", "at": "2026-01-01T00:00:00Z"}
    heard = await travelling_api.ask("POST", "/webhooks/carrier", **signed(delivered))
    ours, theirs = await travelling_api.whole(placed), trace_of(travelling_api.exporter, heard)
    assert theirs.tree == WEBHOOK
    assert ours.tree == TRAVELLED
    assert linked_from(theirs.named("POST /webhooks/carrier")) == [name_of(ours.named("POST /orders")[0])]
    assert linked_from(ours.named("HandleSignal:carrier_event")) == [
        name_of(theirs.named("SignalWorkflow:carrier_event")[0])
    ]


async def test_an_order_placed_again_under_its_key_is_linked_to_the_first(api: TracedApi) -> None:
    order, key = body(), {"Idempotency-Key": f'"{secrets.token_hex(8)}"'}
    first = await api.ask("POST", "/orders", json=order, headers=key)
    spans = await api.whole(first)
    # The question whether there was one before is about it, too.
    assert "order.id" in (spans.named("SELECT")[0].attributes or {})
    again = await api.ask("POST", "/orders", json=order, headers=key)
    assert linked_from(trace_of(api.exporter, again).named("POST /orders")) == [name_of(spans.named("POST /orders")[0])]


async def test_an_error_that_nobody_has_thought_of_is_in_the_trace(api: TracedApi) -> None:
    trace_id = secrets.token_hex(16)
    headers = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
    assert (await api.http.get("/broken", headers=headers)).status_code == 500
    (request,) = trace_of(api.exporter, trace_id).found
    assert request.status.status_code is StatusCode.ERROR
    assert [(event.attributes or {})["exception.message"] for event in request.events] == ["nobody has thought of it"]


async def test_what_callers_say_to_each_other_stays_out_of_an_orders_history(
    api: TracedApi, temporal_settings: TemporalSettings, process_name: str
) -> None:
    headers = {"baggage": "customer=nora@private.example"}
    trace_id = await api.ask("POST", "/orders", json=body(), headers=headers)
    order_id = (trace_of(api.exporter, trace_id).named("POST /orders")[0].attributes or {})["order.id"]
    client = await connect(temporal_settings.model_copy(update={"namespace": f"{process_name}-traced"}))
    history = await client.get_workflow_handle(order_workflow_id(str(order_id))).fetch_history()
    started = str(history.events[0])
    assert trace_id in started
    assert "nora@private" not in started


async def test_of_an_address_only_what_is_of_our_own_is_kept(api: TracedApi) -> None:
    trace_id = secrets.token_hex(16)
    headers = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
    with logged() as log:
        await api.http.get("/orders/nora@private.example/events?nora@private.example&limit=7", headers=headers)
    (request,) = trace_of(api.exporter, trace_id).found
    told = dict(request.attributes or {})
    assert (told["url.path"], told["url.query"]) == ("/orders/REDACTED/events", "REDACTED=REDACTED&limit=REDACTED")
    said = json.dumps(log.of("api.middleware"))
    assert "/orders/REDACTED/events: 404" in said
    assert "nora" not in as_text([request]) + said


async def test_nothing_is_recorded_where_the_caller_says_not_to(api: TracedApi) -> None:
    trace_id = secrets.token_hex(16)
    answer = await api.http.post("/orders", json=body(), headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-00"})
    await api.until(answer.json()["id"], "completed")
    assert answer.headers["Trace-Id"] == trace_id
    assert trace_of(api.exporter, trace_id).found == []


async def test_probes_leave_no_trace(api: TracedApi) -> None:
    await api.http.get("/healthz")
    assert not [span for span in api.exporter.get_finished_spans() if "healthz" in span.name]


async def test_no_span_tells_who_the_customer_is_or_where_they_live(patient_api: TracedApi) -> None:
    address = {"street": "7 Secret Lane", "city": "Hidden", "state": "CA"}
    order_id, placed = await patient_api.placed(
        customer_name="Nora Private", customer_email="nora@private.example", shipping_address=address
    )
    await patient_api.until(order_id, "in_review")
    await patient_api.ask("PUT", f"/orders/{order_id}/shipping-address", json={**address, "street": "8 Secret Lane"})
    await patient_api.ask("GET", "/orders", params={"customer_email": "nora@private.example"})
    await patient_api.ask("POST", f"/orders/{order_id}/review", json={"decision": "approve"})
    await patient_api.whole(placed)
    text = as_text(patient_api.exporter.get_finished_spans())
    assert "customer_email=REDACTED" in text
    assert not [secret for secret in ("Nora", "nora@", "nora%40", "Secret Lane") if secret in text]
