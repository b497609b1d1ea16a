"""What is told of the requests to Stripe."""

from __future__ import annotations

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from orders.settings import TelemetrySettings, load
from orders.telemetry.tracing import Tracing
from tests.spans import as_text
from tests.stripe_server import API_KEY, StripeServer, authorize_by
from workers.gateways.stripe import StripePayments, trace_requests


async def test_each_request_is_a_span_without_what_was_sent(
    payments: StripePayments, stripe_server: StripeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = InMemorySpanExporter()
    tracing = Tracing.to(SimpleSpanProcessor(spans), load(TelemetrySettings))
    # Another test may have had it told to somebody else.
    if RequestsInstrumentor().is_instrumented_by_opentelemetry:
        RequestsInstrumentor().uninstrument()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: tracing.provider)
    trace_requests()
    told = baggage.set_baggage("customer", "john@example.com")
    token = context.attach(told)
    with tracing.provider.get_tracer("test").start_as_current_span("asking") as asking:
        await payments.authorize(authorize_by())
    context.detach(token)
    RequestsInstrumentor().uninstrument()
    requests = [span for span in spans.get_finished_spans() if span.name != "asking"]
    assert [(span.name, span.kind.name, (span.attributes or {})["http.response.status_code"]) for span in requests] == [
        ("POST", "CLIENT", 200),
        ("POST", "CLIENT", 200),
    ]
    assert {span.parent.span_id for span in requests if span.parent} == {asking.get_span_context().span_id}
    assert not [secret for secret in ("tok_visa", API_KEY, "john@example.com") if secret in as_text(requests)]
    assert all("traceparent" in sent and "baggage" not in sent for sent in stripe_server.headers)
