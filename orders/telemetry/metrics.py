"""Metrics: one pipeline for ours, the libraries' and those of Temporal's SDK, to Prometheus, a collector, or both."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from temporalio.runtime import MetricBuffer, MetricBufferDurationFormat, Runtime, TelemetryConfig

from orders.errors import InvalidSetting
from orders.settings import TelemetrySettings
from orders.telemetry.bridge import Bridge
from orders.telemetry.native import LOGS
from orders.telemetry.views import views

if TYPE_CHECKING:
    from sqlalchemy import Engine

BUFFER = 50_000
"""How many of its own measurements Temporal's SDK keeps until they are fetched, which is done every second."""

# Spans that are dropped are counted only where this says so; it is read when the first processor is made.
os.environ.setdefault("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")


@dataclass(frozen=True)
class Metrics:
    """Where this process's metrics go."""

    provider: MeterProvider
    bridge: Bridge
    runtime: Runtime
    server: Any = None

    @classmethod
    def start(cls, resource: Resource, settings: TelemetrySettings) -> Metrics:
        """Send metrics to the collector, or serve them to Prometheus, or both.

        Raises:
            InvalidSetting: the port is taken.
        """
        readers: list[MetricReader] = []
        server = None
        if "otlp" in settings.metrics:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415

            readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
        if "prometheus" in settings.metrics:
            from opentelemetry.exporter.prometheus import PrometheusMetricReader  # noqa: PLC0415
            from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415

            registry = CollectorRegistry()
            readers.append(PrometheusMetricReader(registry=registry, scope_info_enabled=False))
            try:
                server, _ = start_http_server(settings.prometheus_port, settings.prometheus_host, registry)
            except OSError as error:
                where = f"{settings.prometheus_host}:{settings.prometheus_port} ({error.strerror})"
                advice = "choose another port, 0 takes any, or another OTEL_EXPORTER_PROMETHEUS_HOST"
                raise InvalidSetting(f"OTEL_EXPORTER_PROMETHEUS_PORT: can't listen on {where}; {advice}") from error
        return cls.to(readers, resource, server)

    @classmethod
    def to(cls, readers: list[MetricReader], resource: Resource | None = None, server: Any = None) -> Metrics:
        """Hand metrics to readers."""
        provider = MeterProvider(readers, resource or Resource.create(), shutdown_on_exit=False, views=views())
        metrics.set_meter_provider(provider)
        buffer = MetricBuffer(BUFFER, duration_format=MetricBufferDurationFormat.SECONDS)
        # The name that the SDK would put on each is its own, and not that of this process.
        telemetry = TelemetryConfig(metrics=buffer, logging=LOGS, attach_service_name=False)
        return cls(provider, Bridge(buffer, provider), Runtime(telemetry=telemetry), server)

    def watch_database(self, engine: Engine, pool: str, waiting: Callable[[], int]) -> None:
        """Tell how many connections there are, how many are in use, and how many wait for one."""
        from orders.telemetry.pool import watch_pool  # noqa: PLC0415

        watch_pool(engine, pool, waiting, self.provider)

    def flush(self) -> None:
        """Send what was measured."""
        self.bridge.drain()
        self.provider.force_flush()

    def close(self) -> None:
        """Send what was measured, and measure no more."""
        self.provider.shutdown()
        if self.server:
            self.server.shutdown()
            self.server.server_close()
