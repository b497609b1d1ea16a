"""Carries over to OpenTelemetry what Temporal's SDK measures, and what workflows have it count.

``temporalio.contrib.opentelemetry.MetricsExporter`` goes by the identity of objects that it doesn't keep. The SDK makes
new ones for each workflow, in the place of old ones: what one counted would then be taken for what another did.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Lock, Thread
from typing import Any

from opentelemetry.metrics import MeterProvider
from temporalio.runtime import (
    BUFFERED_METRIC_KIND_COUNTER,
    BUFFERED_METRIC_KIND_GAUGE,
    BUFFERED_METRIC_KIND_HISTOGRAM,
    BufferedMetric,
    MetricBuffer,
)

Recorder = Callable[[Any, Mapping[str, Any]], None]
RHYTHM = 1.0
"""How often, in seconds, the buffer is emptied."""
logger = logging.getLogger(__name__)


class Bridge:
    """Empties the SDK's buffer into instruments of the same names."""

    def __init__(self, buffer: MetricBuffer, provider: MeterProvider) -> None:
        self._buffer = buffer
        self._meter = provider.get_meter("temporalio")
        self._recorders: dict[str, Recorder] = {}
        self._lock = Lock()
        self._stopped = Event()

    @contextmanager
    def carrying(self) -> Iterator[None]:
        """Empty the buffer again and again, and a last time in the end."""
        self._stopped.clear()
        # Not on the event loop, which may be busy for longer than the buffer has room.
        thread = Thread(target=self._run, name="metrics", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()

    def drain(self) -> None:
        """Empty it now."""
        try:
            with self._lock:
                for update in self._buffer.retrieve_updates():
                    self._recorder(update.metric)(update.value, update.attributes)
        except BaseException as error:
            # The SDK's Rust panics, which is no Exception, at what its buffer had no room for.
            logger.warning("metrics of Temporal's SDK were lost: %s", error)

    def _run(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._stopped.wait(RHYTHM)
            self.drain()

    def _recorder(self, metric: BufferedMetric) -> Recorder:
        found = self._recorders.get(metric.name)
        if found is None:
            found = self._recorders[metric.name] = self._instrument(metric)
        return found

    def _instrument(self, metric: BufferedMetric) -> Recorder:
        described = (metric.name, metric.unit or "", metric.description or "")
        if metric.kind == BUFFERED_METRIC_KIND_COUNTER:
            return self._meter.create_counter(*described).add
        if metric.kind == BUFFERED_METRIC_KIND_GAUGE:
            return self._meter.create_gauge(*described).set
        if metric.kind == BUFFERED_METRIC_KIND_HISTOGRAM:
            return self._meter.create_histogram(*described).record
        return self._meter.create_up_down_counter(*described).add
