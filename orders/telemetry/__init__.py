"""What a process tells of itself: one ``Telemetry`` a process, made where the process is put together."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from orders.errors import InvalidSetting
from orders.settings import SdkSettings, TelemetrySettings, load

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from orders.telemetry.metrics import Metrics
    from orders.telemetry.tracing import Tracing

FLUSH = 5.0
"""How long, in seconds, a process that leaves may take to send what it has still to tell."""


@dataclass(frozen=True)
class Telemetry:
    """Traces and metrics, either of which may be off: then nothing of it is imported, made or sent."""

    tracing: Tracing | None = None
    metrics: Metrics | None = None

    @classmethod
    def start(cls, service: str, settings: TelemetrySettings) -> Telemetry:
        """Begin to tell, under this name unless the settings have another.

        Raises:
            InvalidSetting: OpenTelemetry can't use one of its variables, or the port of ``/metrics`` is taken.
        """
        if not settings.traces and not settings.metrics:
            return OFF
        load(SdkSettings)
        try:
            return cls._start(service, settings)
        except (ValueError, RuntimeError) as error:
            said = " ".join(str(error).split())
            named = re.match(r"(OTEL_\w+) (.*)", said)
            raise InvalidSetting(": ".join(named.groups() if named else ("OTEL_…", said))) from error

    @classmethod
    def _start(cls, service: str, settings: TelemetrySettings) -> Telemetry:
        import orders.conventions  # noqa: F401, PLC0415 - before anything that reads them
        from orders.telemetry.resource import resource_of  # noqa: PLC0415 - 100 ms that only those pay who use it

        resource = resource_of(service, settings)
        tracing = metrics = None
        if settings.metrics:
            from orders.telemetry.metrics import Metrics  # noqa: PLC0415

            metrics = Metrics.start(resource, settings)
        if settings.traces:
            from orders.telemetry.tracing import Tracing  # noqa: PLC0415

            tracing = Tracing.start(resource, metrics.provider if metrics else None, settings)
            # For whoever asks OpenTelemetry for a tracer, as those who call partners do.
            trace.set_tracer_provider(tracing.provider)
        return cls(tracing, metrics)

    @property
    def of_client(self) -> dict[str, Any]:
        """What Temporal's client, and by it the workers, take part with."""
        given: dict[str, Any] = {}
        if self.tracing:
            given["interceptors"] = [self.tracing.interceptor]
        if self.metrics:
            given["runtime"] = self.metrics.runtime
        return given

    def watch_database(self, engine: Engine, pool: str, waiting: Callable[[], int]) -> None:
        """Tell of each statement, and of the connections: ``pool`` names them, ``waiting`` says how many want one."""
        if self.tracing:
            self.tracing.watch_database(engine)
        if self.metrics:
            self.metrics.watch_database(engine, pool, waiting)

    @asynccontextmanager
    async def telling(self) -> AsyncIterator[None]:
        """Tell, as long as the event loop runs, what Temporal's own library counts."""
        if self.metrics is None:
            yield
            return
        with self.metrics.bridge.carrying():
            yield

    def flush(self, patience: float = FLUSH) -> bool:
        """Send what there is to tell, for so many seconds at most; return whether that was enough."""
        return _in_time(patience, [part.flush for part in self._parts])

    def close(self, patience: float = FLUSH) -> None:
        """Send the rest, for so many seconds at most, and tell no more."""
        _in_time(patience, [part.close for part in self._parts])

    @property
    def _parts(self) -> Sequence[Tracing | Metrics]:
        return [part for part in (self.tracing, self.metrics) if part]


def _in_time(patience: float, work: Sequence[Callable[[], None]]) -> bool:
    # OpenTelemetry takes a time limit for this, and does not keep it: an export that is under way is waited for. Nor is
    # one part to wait for another, whose collector hangs.
    deadline = time.monotonic() + patience
    threads = [Thread(target=each, daemon=True) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)


OFF = Telemetry()
"""Nothing is told."""
