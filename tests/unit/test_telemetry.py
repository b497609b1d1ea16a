"""What a process tells of itself costs nothing where it is off, and little where nobody listens."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from temporalio import activity, workflow
from temporalio.runtime import Runtime

from cli.embedded import free_port
from orders.contracts import order_of_workflow, order_workflow_id, refusal_workflow_id, shipment_workflow_id
from orders.errors import InvalidSetting
from orders.logs import set_up_logging
from orders.settings import SdkSettings, TelemetrySettings, load
from orders.telemetry import OFF, Telemetry
from orders.telemetry.context import link_to, traceparent
from orders.telemetry.resource import resource_of
from orders.telemetry.tracing import Tracing
from tests.spans import give_up

ORDER = "ord_0123456789abcdef01234567"
SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    ("given", "traces", "metrics"),
    [
        ({}, False, set()),
        (COLLECTOR, True, {"otlp"}),
        ({**COLLECTOR, "OTEL_TRACES_EXPORTER": "none"}, False, {"otlp"}),
        ({**COLLECTOR, "OTEL_METRICS_EXPORTER": "none"}, True, set()),
        ({**COLLECTOR, "OTEL_METRICS_EXPORTER": "otlp, prometheus"}, True, {"otlp", "prometheus"}),
        ({"OTEL_METRICS_EXPORTER": "prometheus"}, False, {"prometheus"}),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True, set()),
        ({**COLLECTOR, "OTEL_METRICS_EXPORTER": "prometheus", "OTEL_SDK_DISABLED": "true"}, False, set()),
    ],
)
def test_opentelemetrys_own_variables_say_what_is_told(given: dict[str, Any], traces: bool, metrics: set[str]) -> None:
    settings = load(TelemetrySettings, **given)
    assert (settings.traces, set(settings.metrics)) == (traces, metrics)


def test_an_endpoint_for_traces_alone_turns_on_traces_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/v1/traces")
    settings = load(TelemetrySettings)
    assert (settings.traces, set(settings.metrics)) == (True, set())


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OTEL_METRICS_EXPORTER", "statsd", "statsd is not known here; choose from otlp, prometheus, none"),
        ("OTEL_METRICS_EXPORTER", "otlp,none", "none goes with no other"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "parentbased_always_on"),
        ("OTEL_TRACES_SAMPLER_ARG", "2", "less than or equal to 1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "http"),
    ],
)
def test_a_setting_that_cant_be_used_is_named(name: str, value: str, said: str) -> None:
    with pytest.raises(InvalidSetting, match=f"^{name}: .*") as refused:
        load(TelemetrySettings, **{name: value})
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "OTEL_BSP_MAX_QUEUE_SIZE",
            "100",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE: 512 don't fit into OTEL_BSP_MAX_QUEUE_SIZE",
        ),
        ("OTEL_BSP_SCHEDULE_DELAY", "x", "OTEL_BSP_SCHEDULE_DELAY: "),
        ("OTEL_METRIC_EXPORT_INTERVAL", "x", "OTEL_METRIC_EXPORT_INTERVAL: "),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0", "OTEL_METRIC_EXPORT_INTERVAL: "),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,hunter2", "OTEL_EXPORTER_OTLP_HEADERS: "),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=hunter2;", "OTEL_EXPORTER_OTLP_TRACES_HEADERS: "),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "x", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT: "),
        ("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "x", "OTEL_…: Requested component 'x' not found"),
    ],
)
def test_what_opentelemetry_reads_by_itself_and_cant_use_is_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSetting) as refused:
        Telemetry.start("any", load(TelemetrySettings, **COLLECTOR, OTEL_METRICS_EXPORTER="none"))
    assert str(refused.value).startswith(said)
    assert len(str(refused.value).splitlines()) == 1
    assert "hunter2" not in str(refused.value)
    # Exporters of other tests may be heard still.
    assert [message for message in caplog.messages if name in message or "hunter2" in message] == []


def test_headers_that_opentelemetry_can_use_are_let_pass() -> None:
    given = " authorization = Bearer a.b==, x-tenant=a%2Cb ,"
    assert load(SdkSettings, OTEL_EXPORTER_OTLP_HEADERS=given).headers.get_secret_value() == given


@pytest.mark.parametrize("command", [["api"], ["workers", "orders"]])
def test_a_process_leaves_with_2_and_one_line_where_opentelemetry_cant_use_its_variables(command: list[str]) -> None:
    wrong = {**COLLECTOR, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "x", "OTEL_METRICS_EXPORTER": "none"}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        env={**os.environ, **wrong},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("attributes", "name", "expected"),
    [
        ("", "", "orders-api"),
        ("service.name=shop", "", "shop"),
        ("service.name=shop", "front", "front"),
        ("service.name=", "", "orders-api"),
    ],
)
def test_a_process_is_called_what_the_environment_calls_it_and_otherwise_by_our_name(
    monkeypatch: pytest.MonkeyPatch, attributes: str, name: str, expected: str
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", attributes)
    monkeypatch.setenv("OTEL_SERVICE_NAME", name)
    assert resource_of("orders-api", load(TelemetrySettings)).attributes["service.name"] == expected


def test_the_resource_that_the_environment_describes_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = {"service.namespace": "shop", "service.version": "7", "service.instance.id": "pod-1", "zone": "eu"}
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", ",".join(f"{name}={value}" for name, value in theirs.items()))
    found = resource_of("orders-api", load(TelemetrySettings)).attributes
    assert {name: found[name] for name in theirs} == theirs
    assert found["service.name"] == "orders-api"


def test_a_process_makes_one_runtime_of_temporal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "prometheus")
    monkeypatch.setenv("OTEL_EXPORTER_PROMETHEUS_PORT", "0")
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    monkeypatch.setattr(activity.logger, "activity_info_on_message", True)
    monkeypatch.setattr(workflow.logger, "workflow_info_on_message", True)
    # There is one for the whole process, and the others' must not be one that is closed.
    monkeypatch.setattr("opentelemetry.metrics.set_meter_provider", lambda _: None)
    made: list[Runtime] = []
    monkeypatch.setattr(Runtime, "set_default", lambda runtime, **_: made.append(runtime))
    set_up_logging("orders-api")
    telemetry = Telemetry.start("orders-api", load(TelemetrySettings))
    telemetry.close()
    assert made == []
    assert isinstance(telemetry.of_client["runtime"], Runtime)


def test_off_imports_and_makes_nothing() -> None:
    code = (
        "import sys, api.app, api.dependencies, workers.runner\n"
        "from orders.settings import TelemetrySettings, load\n"
        "from orders.telemetry import OFF, Telemetry\n"
        "assert Telemetry.start('any', load(TelemetrySettings)) is OFF\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.instr'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
    assert OFF.of_client == {}


def test_a_collector_that_cant_be_reached_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "100")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "50")
    tracing = Tracing.start(Resource.create(), None, load(TelemetrySettings))
    tracer, begun = tracing.provider.get_tracer("test"), time.monotonic()
    for _ in range(1000):
        tracer.start_span("something").end()
    Telemetry(tracing).close(patience=0.2)
    # Were each span, or only the last ones, waited for, it would be the time-out of OTLP: 10 s.
    assert time.monotonic() - begun < 5
    give_up(tracing)


@pytest.mark.parametrize(
    ("sampler", "argument", "recorded"),
    [
        ("always_on", 1, [True, True]),
        ("always_off", 1, [False, False]),
        ("traceidratio", 0, [False, False]),
        ("parentbased_always_off", 1, [False, True]),
        ("parentbased_traceidratio", 0, [False, True]),
        ("parentbased_traceidratio", 1, [True, True]),
    ],
)
def test_the_sampler_decides_which_traces_are_recorded(sampler: str, argument: float, recorded: list[bool]) -> None:
    settings = load(TelemetrySettings, OTEL_TRACES_SAMPLER=sampler, OTEL_TRACES_SAMPLER_ARG=argument)
    tracer = Tracing.to(SimpleSpanProcessor(InMemorySpanExporter()), settings).provider.get_tracer("test")
    theirs = TraceContextTextMapPropagator().extract({"traceparent": SAMPLED})
    spans = tracer.start_span("a request"), tracer.start_span("one that goes on with a trace", theirs)
    assert [span.is_recording() for span in spans] == recorded


def test_what_a_process_asks_by_itself_is_in_no_trace() -> None:
    spans = InMemorySpanExporter()
    always = load(TelemetrySettings, OTEL_TRACES_SAMPLER="always_on")
    tracer = Tracing.to(SimpleSpanProcessor(spans), always).provider.get_tracer("test")
    tracer.start_span("a poll", kind=SpanKind.CLIENT).end()
    # A probe has only the name of one.
    with use_span(NonRecordingSpan(SpanContext(1, 2, is_remote=False))):
        tracer.start_span("a sign of life", kind=SpanKind.CLIENT).end()
    with tracer.start_as_current_span("a request", kind=SpanKind.SERVER):
        tracer.start_span("a statement", kind=SpanKind.CLIENT).end()
    assert [span.name for span in spans.get_finished_spans()] == ["a statement", "a request"]


def test_the_workflows_of_an_order_name_it() -> None:
    ids = order_workflow_id(ORDER), shipment_workflow_id(f"{ORDER}:1"), refusal_workflow_id(ORDER, "message")
    assert [order_of_workflow(each) for each in ids] == [ORDER] * 3
    assert order_of_workflow("somebody-elses") is None


def test_a_span_within_one_about_an_order_is_about_it_too() -> None:
    spans = InMemorySpanExporter()
    tracer = Tracing.to(SimpleSpanProcessor(spans), load(TelemetrySettings)).provider.get_tracer("test")
    with tracer.start_as_current_span("outer", attributes={"temporalWorkflowID": f"order:{ORDER}"}):
        tracer.start_span("inner").end()
    tracer.start_span("another").end()
    assert [(span.attributes or {}).get("order.id") for span in spans.get_finished_spans()] == [ORDER, ORDER, None]


def test_a_long_attribute_is_cut_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    spans = InMemorySpanExporter()
    Tracing.to(SimpleSpanProcessor(spans), load(TelemetrySettings)).provider.get_tracer("test").start_span(
        "x", attributes={"a": 5000 * "b"}
    ).end()
    assert (spans.get_finished_spans()[0].attributes or {})["a"] == 1024 * "b"
    assert caplog.messages == []


def test_where_nothing_is_recorded_there_is_nothing_to_name_or_to_link() -> None:
    assert traceparent() is None
    link_to(SAMPLED)
    link_to("nonsense")


def test_whoever_flushes_hears_whether_it_was_done_in_time() -> None:
    def told(takes: float) -> Telemetry:
        provider = type("Provider", (), {"force_flush": lambda _: time.sleep(takes)})()
        return Telemetry(tracing=Tracing(provider, None, sql_comments=False))  # type: ignore[arg-type]

    assert OFF.flush(0) is True
    assert told(0).flush(1) is True
    assert told(0.3).flush(0.01) is False


def test_a_function_of_aws_lambda_tells_which_one_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not [name for name in resource_of("orders-api", load(TelemetrySettings)).attributes if "faas" in name]
    told = {
        "AWS_LAMBDA_FUNCTION_NAME": "orders-api",
        "AWS_LAMBDA_FUNCTION_VERSION": "7",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/02/[7]abc",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_REGION": "eu-central-1",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    found = resource_of("orders-api", load(TelemetrySettings)).attributes
    assert {name: found[name] for name in found if name.startswith(("faas", "cloud"))} == {
        "cloud.provider": "aws",
        "cloud.platform": "aws_lambda",
        "cloud.region": "eu-central-1",
        "faas.name": "orders-api",
        "faas.version": "7",
        "faas.instance": "2026/01/02/[7]abc",
        "faas.max_memory": 1024 * 2**20,
    }
