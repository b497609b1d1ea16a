"""Gauges whose values somebody else has to be asked for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from orders.errors import DependencyUnavailable, Overloaded

RHYTHM = 15.0
"""How often, in seconds, a process asks."""
PATIENCE = 5.0
"""How long, in seconds, it waits for the answer."""
Readings = Mapping[str, Iterable[Observation]]
logger = logging.getLogger(__name__)


class Gauge(NamedTuple):
    """A gauge, with its unit (UCUM)."""

    name: str
    unit: str
    description: str


class Gauges:
    """Gauges that are read in the background, so that nobody who collects them waits for an answer.

    What can't be known now isn't told: without an answer there are no values, and no old ones either.
    """

    def __init__(
        self, gauges: Iterable[Gauge], ask: Callable[[], Awaitable[Readings]], provider: MeterProvider
    ) -> None:
        self._ask = ask
        self._readings: Readings = {}
        meter = provider.get_meter("orders")
        for gauge in gauges:
            meter.create_observable_gauge(gauge.name, [partial(self._read, gauge.name)], gauge.unit, gauge.description)

    async def keep_reading(self) -> None:
        """Ask again and again."""
        while True:
            await self.read()
            await asyncio.sleep(RHYTHM)

    async def read(self) -> None:
        """Ask once."""
        readings: Readings = {}
        try:
            async with asyncio.timeout(PATIENCE):
                readings = await self._ask()
        except (DependencyUnavailable, Overloaded, TimeoutError) as error:
            logger.debug("no figures: %s", error or "no answer in time")
        except Exception:
            logger.exception("no figures")
        self._readings = readings

    def _read(self, name: str, _: CallbackOptions) -> Iterable[Observation]:
        return self._readings.get(name, ())
