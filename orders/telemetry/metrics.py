"""Metrics: one pipeline for ours, the libraries' and those of Temporal's SDK, to Prometheus, a collector, or both."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from temporalio.contrib.opentelemetry import MetricsExporter
from temporalio.runtime import MetricBuffer, MetricBufferDurationFormat, Runtime, TelemetryConfig

from orders.errors import InvalidSetting
from orders.settings import TelemetrySettings
from orders.telemetry.native import LOGS

if TYPE_CHECKING:
    from sqlalchemy import Engine

BUFFER = 50_000
"""How many of its own measurements Temporal's SDK keeps until they are fetched, which is done every second."""


@dataclass(frozen=True)
class Metrics:
    """Where this process's metrics go."""

    provider: MeterProvider
    buffer: MetricBuffer
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
                where = f"{settings.prometheus_host}:{settings.prometheus_port}"
                raise InvalidSetting(f"OTEL_EXPORTER_PROMETHEUS_PORT: {where}: {error.strerror}") from error
        return cls.to(readers, resource, server)

    @classmethod
    def to(cls, readers: list[MetricReader], resource: Resource | None = None, server: Any = None) -> Metrics:
        """Hand metrics to readers."""
        provider = MeterProvider(readers, resource or Resource.create(), shutdown_on_exit=False)
        metrics.set_meter_provider(provider)
        buffer = MetricBuffer(BUFFER, duration_format=MetricBufferDurationFormat.SECONDS)
        return cls(provider, buffer, Runtime(telemetry=TelemetryConfig(metrics=buffer, logging=LOGS)), server)

    def bridge(self) -> AbstractAsyncContextManager[Any]:
        """Fetch, every second, what Temporal's SDK has measured."""
        return MetricsExporter(self.buffer, self.provider)

    def watch_database(self, engine: Engine, pool: str) -> None:
        """Tell how many connections there are, and how many are in use."""

    def flush(self) -> None:
        """Send what was measured."""
        self.provider.force_flush()

    def close(self) -> None:
        """Send what was measured, and measure no more."""
        self.provider.shutdown()
        if self.server:
            self.server.shutdown()
