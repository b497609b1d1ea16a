"""Processes of their own tell over OTLP what they do."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx2
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from oteltap import OtelTapHttpProtobufReceiver, OtelTapHttpProtobufReceiverSettings

from cli.embedded import free_port
from tests.examples import body
from tests.spans import PLACED, Node, tree_of
from tests.stack.conftest import ROOT

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def processes(database_url: str, process_name: str) -> Iterator[tuple[list[subprocess.Popen[bytes]], int, int]]:
    """An API and a worker of all queues; the ports of the API and of the collector that they tell."""
    api_port, collector_port = free_port(), free_port()
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "TEMPORAL_ADDRESS": os.environ["TESTS_TEMPORAL_ADDRESS"],
        "TEMPORAL_NAMESPACE": f"{process_name}-told",
        "API_PORT": str(api_port),
        "REVIEW_MODE": "off",
        "WORKER_GRACEFUL_SHUTDOWN": "1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector_port}",
        "OTEL_METRICS_EXPORTER": "none",
        # As the clusters of some have it for all that runs there.
        "OTEL_PROPAGATORS": "xray",
        # They send it all when they leave, and nothing before.
        "OTEL_BSP_SCHEDULE_DELAY": "600000",
    }
    started = [
        subprocess.Popen([sys.executable, "-m", *module], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        for module in (["api"], ["workers", "orders", "payments", "shipping"])
    ]
    yield started, api_port, collector_port
    for process in started:
        process.kill()
        process.wait()


async def test_an_orders_trace_arrives_at_a_collector_whole_when_the_processes_leave_at_the_latest(
    processes: tuple[list[subprocess.Popen[bytes]], int, int],
) -> None:
    told, api_port, collector_port = processes
    received: list[Span] = []
    async with OtelTapHttpProtobufReceiver(OtelTapHttpProtobufReceiverSettings(collector_port)) as collector:
        keeping = asyncio.create_task(_keep(collector, received))
        await _until_delivered(f"http://127.0.0.1:{api_port}")
        assert received == []
        for process in told:
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 20) == 0
        async with asyncio.timeout(30):
            while len(received) < len(PLACED.splitlines()):  # noqa: ASYNC110 - they come from another process
                await asyncio.sleep(0.05)
        keeping.cancel()
    nodes = [Node(span.span_id, span.parent_span_id, span.name, span.start_time_unix_nano) for span in received]
    assert tree_of(nodes) == PLACED


async def _keep(collector: OtelTapHttpProtobufReceiver, received: list[Span]) -> None:
    async for span in collector.stream_traces():
        if span.trace_id.hex() == TRACE_ID:
            received.append(span)  # noqa: PERF401 - the stream has no end


async def _until_delivered(url: str) -> None:
    headers = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"}
    async with httpx2.AsyncClient(trust_env=False, timeout=20) as http, asyncio.timeout(30):
        while True:
            try:
                if (await http.get(f"{url}/readyz")).is_success:
                    break
            except httpx2.TransportError:
                pass
            await asyncio.sleep(0.05)
        placed = await http.post(f"{url}/orders", json=body(), headers=headers)
        assert placed.status_code == 201
        place = url + placed.headers["Location"]
        while (await http.get(place)).json()["status"] != "completed":  # noqa: ASYNC110 - it is asked as a client asks
            await asyncio.sleep(0.05)
