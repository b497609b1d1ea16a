"""What a process tells of itself in numbers, and how it gets to where it is looked at."""

from __future__ import annotations

import logging
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from sqlalchemy import NullPool, QueuePool, create_engine
from temporalio.runtime import MetricBuffer, Runtime, TelemetryConfig

from cli.embedded import free_port
from orders.errors import DependencyUnavailable, InvalidSetting
from orders.ledger.engine import Database
from orders.settings import DatabaseSettings, TelemetrySettings, load
from orders.telemetry import Telemetry
from orders.telemetry.bridge import Bridge
from orders.telemetry.gauges import Gauge, Gauges, Readings
from orders.telemetry.metrics import Metrics
from orders.telemetry.tracing import Tracing
from orders.telemetry.views import CALL, STEP, views
from tests.metering import Meters, labels
from tests.spans import give_up

PAID = Gauge("orders.open", "{order}", "Orders that are paid.")


@pytest.fixture
def collector() -> Iterator[tuple[str, list[str]]]:
    """The address of a collector, and the paths on which something came."""
    paths: list[str] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", paths
    server.shutdown()
    server.server_close()
    thread.join()


def test_what_one_workflow_counts_is_never_taken_for_what_another_did() -> None:
    meters = Meters()
    for number in range(700):
        # Each workflow has a meter, instruments and labels of its own, which are gone with it.
        meter = meters.metrics.runtime.metric_meter.with_additional_attributes({"kind": f"k{number % 7}"})
        meter.create_counter(f"counted.{number % 2}").add(1, {"outcome": f"o{number % 5}"})
        if number % 10 == 0:
            meters.metrics.bridge.drain()
    expected = {labels(kind=f"k{n % 7}", outcome=f"o{n % 5}"): 10 for n in range(0, 70, 2)}
    assert meters.counts("counted.0") == expected
    assert meters.counts("counted.1") == expected


def test_temporals_gauges_keep_their_last_value_and_its_durations_are_seconds() -> None:
    meters = Meters()
    meter = meters.metrics.runtime.metric_meter
    gauge = meter.create_gauge("temporal_num_pollers")
    for value in (3, 5):
        gauge.set(value)
    meter.create_histogram_timedelta("temporal_request_latency", unit="duration").record(timedelta(milliseconds=1500))
    latency = meters.read()["temporal_request_latency"]
    assert (latency.unit, latency.data.data_points[0].sum) == ("s", 1.5)  # type: ignore[union-attr]
    assert meters.counts("temporal_num_pollers") == {labels(): 5}
    assert meters.counts("temporal_num_pollers") == {labels(): 5}


def test_a_buffer_that_was_too_small_costs_what_it_held_and_nothing_that_comes_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reader, buffer = InMemoryMetricReader(), MetricBuffer(10)
    meter = Runtime(telemetry=TelemetryConfig(metrics=buffer)).metric_meter
    bridge, counter = Bridge(buffer, MeterProvider([reader])), meter.create_counter("counted")
    for _ in range(10):
        counter.add(1)
    late = meter.create_counter("late")
    bridge.drain()
    with caplog.at_level(logging.WARNING), bridge.carrying():
        late.add(1)
    assert "metrics of Temporal's SDK were lost" in caplog.text
    counter.add(100)
    bridge.drain()
    found = reader.get_metrics_data()
    assert found
    (metric,) = found.resource_metrics[0].scope_metrics[0].metrics
    assert metric.data.data_points[0].value > 100  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "buckets"),
    [
        ("orders.step.duration", STEP),
        ("temporal_workflow_endtoend_latency", STEP),
        ("temporal_request_latency", CALL),
        ("temporal_long_request_latency", CALL),
        ("temporal_activity_schedule_to_start_latency", CALL),
        ("temporal_workflow_task_schedule_to_start_latency", CALL),
        ("temporal_workflow_task_execution_latency", CALL),
        ("temporal_workflow_task_replay_latency", CALL),
        ("temporal_activity_succeed_endtoend_latency", CALL),
        ("temporal_local_activity_succeed_endtoend_latency", CALL),
    ],
)
def test_each_duration_falls_into_the_buckets_of_its_kind(name: str, buckets: tuple[float, ...]) -> None:
    meters = Meters()
    meters.metrics.provider.get_meter("test").create_histogram(name, "s").record(0.2)
    (point,) = meters.read()[name].data.data_points
    assert tuple(point.explicit_bounds) == buckets  # type: ignore[union-attr]
    assert sum(view._match(_histogram(name)) for view in views()) == 1


def _histogram(name: str) -> Histogram:
    found = MeterProvider().get_meter("test").create_histogram(name, "s")
    assert isinstance(found, Histogram)
    return found


async def test_gauges_are_read_in_the_background_and_absent_while_there_is_no_answer() -> None:
    meters, answers = Meters(), [True, False, True]

    async def ask() -> Readings:
        if not answers.pop():
            raise DependencyUnavailable("PostgreSQL", "it is away")
        return {PAID.name: [Observation(3, {"status": "paid"})]}

    gauges = Gauges([PAID], ask, meters.metrics.provider)
    assert meters.counts(PAID.name) == {}
    await gauges.read()
    assert meters.counts(PAID.name) == meters.counts(PAID.name) == {labels(status="paid"): 3}
    await gauges.read()
    assert meters.counts(PAID.name) == {}
    await gauges.read()
    assert meters.counts(PAID.name) == {labels(status="paid"): 3}
    assert answers == []


async def test_an_answer_that_goes_wrong_is_logged_and_asked_for_again(caplog: pytest.LogCaptureFixture) -> None:
    async def ask() -> Readings:
        raise ZeroDivisionError

    await Gauges([PAID], ask, Meters().metrics.provider).read()
    assert "no figures" in caplog.text


def test_the_pool_is_told_as_it_is_when_somebody_looks() -> None:
    meters, engine = Meters(), create_engine("sqlite://", poolclass=QueuePool, pool_size=4)
    meters.metrics.watch_database(engine, "ledger", lambda: 7)
    name, pool = "db.client.connection", {"db.client.connection.pool.name": "ledger"}
    state = f"{name}.state"
    with engine.connect(), engine.connect():
        assert meters.counts(f"{name}.count") == {
            labels(**pool, **{state: "used"}): 2,
            labels(**pool, **{state: "idle"}): 0,
        }
    assert meters.counts(f"{name}.count")[labels(**pool, **{state: "idle"})] == 2
    assert meters.counts(f"{name}.max") == {labels(**pool): 4}
    assert meters.counts(f"{name}.pending_requests") == {labels(**pool): 7}
    engine.dispose()


def test_of_a_pool_that_keeps_nothing_the_connections_are_told_that_are_in_use() -> None:
    meters, engine = Meters(), create_engine("sqlite://", poolclass=NullPool)
    meters.metrics.watch_database(engine, "ledger", lambda: 7)
    name, pool = "db.client.connection", {"db.client.connection.pool.name": "ledger"}
    used = labels(**pool, **{f"{name}.state": "used"})
    with engine.connect(), engine.connect():
        assert meters.counts(f"{name}.count") == {used: 2}
    assert meters.counts(f"{name}.count") == {used: 0}
    assert meters.counts(f"{name}.pending_requests") == {labels(**pool): 7}


def test_who_waits_for_a_connection_is_who_waits_for_a_thread() -> None:
    database = Database(load(DatabaseSettings, DATABASE_URL="postgresql://h/d", DATABASE_POOL_SIZE=1))
    begun, end = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        end.wait()

    for _ in range(3):
        database.threads.submit(work)
    begun.wait()
    waiting = database.waiting
    end.set()
    database.close()
    assert waiting == 2


def test_metrics_go_to_prometheus_and_to_a_collector_at_once(
    collector: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, paths = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    metrics = Metrics.start(Resource.create(), settings())
    metrics.provider.get_meter("test").create_counter("orders.placed").add(3)
    with urllib.request.urlopen(f"http://localhost:{metrics.server.server_port}/metrics") as answer:
        assert "orders_placed_total 3.0" in answer.read().decode()
    assert paths == []
    metrics.flush()
    assert paths == ["/v1/metrics"]
    metrics.close()
    assert len(paths) == 2


def test_a_collector_of_traces_that_hangs_keeps_no_metrics_back(
    collector: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, paths = collector
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"{address}/v1/metrics")
        telemetry = Telemetry(
            Tracing.start(Resource.create(), None, load(TelemetrySettings)),
            Metrics.start(Resource.create(), load(TelemetrySettings)),
        )
        assert telemetry.tracing
        assert telemetry.metrics
        telemetry.tracing.provider.get_tracer("test").start_span("something").end()
        telemetry.metrics.provider.get_meter("test").create_counter("orders.placed").add(1)
        begun = time.monotonic()
        telemetry.close(patience=0.5)
        assert paths == ["/v1/metrics"]
        assert 0.4 < time.monotonic() - begun < 1
        give_up(telemetry.tracing)


def test_a_port_that_is_taken_is_one_line_that_says_what_to_do() -> None:
    first = Metrics.start(Resource.create(), settings(OTEL_METRICS_EXPORTER="prometheus"))
    taken = str(first.server.server_port)
    with pytest.raises(InvalidSetting, match=f"^OTEL_EXPORTER_PROMETHEUS_PORT: .*:{taken} .*; choose another port.*$"):
        Metrics.start(
            Resource.create(), settings(OTEL_METRICS_EXPORTER="prometheus", OTEL_EXPORTER_PROMETHEUS_PORT=taken)
        )
    first.close()


def test_spans_that_found_no_room_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "4")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    meters = Meters()
    tracing = Tracing.start(Resource.create(), meters.metrics.provider, load(TelemetrySettings))
    for _ in range(100):
        tracing.provider.get_tracer("test").start_span("something").end()
    processed = meters.counts("otel.sdk.processor.span.processed")
    assert sum(count for of, count in processed.items() if ("error.type", "queue_full") in of) > 80
    Telemetry(tracing).close(patience=0.1)
    give_up(tracing)


def settings(**changes: str) -> TelemetrySettings:
    given = {"OTEL_METRICS_EXPORTER": "otlp,prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": "0", **changes}
    return load(TelemetrySettings, **given)
