"""The receiver of the local stack, asked by OpenTelemetry's own exporter."""

from __future__ import annotations

import gzip
import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import uvicorn
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.trace import Link, SpanKind, StatusCode, format_span_id, format_trace_id
from opentelemetry.util.types import AttributeValue

from cli.embedded import free_port
from cli.spans import Spans, receiver
from tests.kept_spans import FIRST, OTHER, span

PROTOBUF = {"Content-Type": "application/x-protobuf"}
LARGEST = 100_000


@contextmanager
def serving(spans: Spans) -> Iterator[str]:
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(receiver(spans, LARGEST), port=port, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    spans = Spans(":memory:")
    with serving(spans) as found:
        yield found
    spans.close()


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_what_the_exporter_sends_is_given_back_as_json(url: str, compression: Compression) -> None:
    provider = TracerProvider(resource=Resource({"service.name": "orders-api"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{url}/v1/traces", compression=compression)))
    tracer = provider.get_tracer("tests")
    with tracer.start_as_current_span(
        "POST /orders", kind=SpanKind.SERVER, attributes={"n": 1, "all": ["a", "b"]}
    ) as post:
        first = post.get_span_context()
        with tracer.start_as_current_span("SELECT", links=[Link(first, {"why": "a test"})]) as select:
            select.add_event("seen", {"by": "me"}, timestamp=5)
            select.set_status(StatusCode.ERROR, "no such table")
    provider.shutdown()
    outer, inner = httpx2.get(f"{url}/traces/{format_trace_id(first.trace_id)}", trust_env=False).json()
    ids = {"trace_id": format_trace_id(first.trace_id), "span_id": format_span_id(first.span_id)}
    assert outer == {
        **ids,
        "parent_id": None,
        "name": "POST /orders",
        "kind": "server",
        "service": "orders-api",
        "start": post.start_time,  # type: ignore[attr-defined]
        "end": post.end_time,  # type: ignore[attr-defined]
        "status": "unset",
        "message": "",
        "attributes": {"n": 1, "all": ["a", "b"]},
        "events": [],
        "links": [],
    }
    assert (inner["parent_id"], inner["kind"]) == (ids["span_id"], "internal")
    assert (inner["status"], inner["message"]) == ("error", "no such table")
    assert inner["events"] == [{"name": "seen", "at": 5, "attributes": {"by": "me"}}]
    assert inner["links"] == [{**ids, "attributes": {"why": "a test"}}]


def test_a_trace_that_nobody_has_sent_has_no_spans(url: str) -> None:
    assert httpx2.get(f"{url}/traces/{OTHER}", trust_env=False).json() == []


@pytest.mark.parametrize("signal", ["metrics", "logs"])
def test_metrics_and_logs_are_taken_and_dropped(url: str, signal: str) -> None:
    assert httpx2.post(f"{url}/v1/{signal}", content=b"x", headers=PROTOBUF, trust_env=False).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (PROTOBUF, 400),
        ({**PROTOBUF, "Content-Encoding": "gzip"}, 400),
        ({"Content-Type": "text/plain"}, 415),
        ({**PROTOBUF, "Host": "evil.example"}, 400),
    ],
)
def test_what_are_no_spans_and_what_a_web_page_could_send_is_refused(
    url: str, headers: dict[str, str], status: int
) -> None:
    answer = httpx2.post(f"{url}/v1/traces", content=b"\xff nonsense", headers=headers, trust_env=False)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("path", "headers", "sent"),
    [
        ("traces", {}, bytes(LARGEST + 1)),
        ("traces", {}, iter([bytes(LARGEST), b"x"])),
        ("traces", {"Content-Encoding": "gzip"}, gzip.compress(bytes(LARGEST + 1))),
        ("metrics", {}, iter([bytes(LARGEST), b"x"])),
    ],
    ids=["by its length", "in chunks", "packed", "what is dropped"],
)
def test_more_than_there_is_room_for_is_refused(
    url: str, path: str, headers: dict[str, str], sent: bytes | Iterator[bytes]
) -> None:
    answer = httpx2.post(f"{url}/v1/{path}", content=sent, headers={**PROTOBUF, **headers}, trust_env=False)
    assert (answer.status_code, answer.text) == (413, f"more than {LARGEST} bytes are not taken\n")


def test_a_length_that_is_too_large_is_refused_before_anything_is_read(url: str) -> None:
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=5) as asking:
        asking.sendall(
            b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
            b"Content-Length: 1000000000\r\n\r\n"
        )
        assert asking.recv(100).startswith(b"HTTP/1.1 413 ")


def test_as_much_as_there_is_room_for_is_unpacked_and_half_a_file_is_refused(url: str) -> None:
    packed = gzip.compress(ExportTraceServiceRequest().SerializeToString() + bytes([0x7A, 0]) * (LARGEST // 2))
    headers = {**PROTOBUF, "Content-Encoding": "gzip"}
    answers = [
        httpx2.post(f"{url}/v1/traces", content=sent, headers=headers, trust_env=False).status_code
        for sent in (packed, packed[:-1], packed + packed)
    ]
    assert answers == [200, 400, 400]


def test_a_number_that_json_does_not_have_is_given_back_as_a_string(url: str) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{url}/v1/traces")))
    given: dict[str, AttributeValue] = {"nan": math.nan, "inf": math.inf, "all": [-math.inf, 0.5]}
    made = provider.get_tracer("tests").start_span("x", attributes=given)
    made.end()
    answer = httpx2.get(f"{url}/traces/{format_trace_id(made.get_span_context().trace_id)}", trust_env=False)
    assert answer.json()[0]["attributes"] == {"nan": "NaN", "inf": "Infinity", "all": ["-Infinity", 0.5]}


def test_a_name_that_leads_here_by_a_trick_reads_nothing(url: str) -> None:
    answer = httpx2.get(f"{url}/traces/{OTHER}", headers={"Host": "evil.example"}, trust_env=False)
    assert answer.status_code == 400


def test_the_latest_spans_are_kept_over_a_restart_once_each_and_the_oldest_make_room(tmp_path: Path) -> None:
    sent = [span(f"n{n}", at=n) for n in range(5)]
    spans = Spans(tmp_path / "spans.db", most=3)
    spans.add(sent[:3])
    spans.add(sent[2:])
    spans.close()
    again = Spans(tmp_path / "spans.db", most=3)
    assert [each["name"] for each in again.of(FIRST)] == ["n2", "n3", "n4"]
    again.close()


def test_the_exporter_is_told_that_its_spans_were_taken(url: str) -> None:
    assert OTLPSpanExporter(f"{url}/v1/traces").export([]) is SpanExportResult.SUCCESS
