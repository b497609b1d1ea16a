"""Reads what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, Metric

from orders.telemetry.metrics import Metrics

Labels = frozenset[tuple[str, str]]


class Meters:
    """A process's metrics, read from its memory."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.metrics = Metrics.to([self._reader])

    def read(self) -> dict[str, Metric]:
        self.metrics.bridge.drain()
        return {metric.name: metric for metric in self._read()}

    def counts(self, name: str) -> dict[Labels, int]:
        """Of each set of labels the value, or for a histogram how often something was measured."""
        metric = self.read().get(name)
        points: list[Any] = list(metric.data.data_points) if metric else []
        return {
            labels(**(point.attributes or {})): point.count if isinstance(point, HistogramDataPoint) else point.value
            for point in points
        }

    def _read(self) -> Iterator[Metric]:
        found = self._reader.get_metrics_data()
        for resource in found.resource_metrics if found else ():
            for scope in resource.scope_metrics:
                yield from scope.metrics


def labels(**given: Any) -> Labels:
    return frozenset(given.items())
