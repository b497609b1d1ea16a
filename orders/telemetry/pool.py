"""How many connections to the database there are, and who waits for one (Semantic conventions for database clients)."""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation
from opentelemetry.semconv._incubating.attributes.db_attributes import (
    DB_CLIENT_CONNECTION_POOL_NAME,
    DB_CLIENT_CONNECTION_STATE,
    DbClientConnectionStateValues,
)
from opentelemetry.semconv._incubating.metrics.db_metrics import (
    DB_CLIENT_CONNECTION_COUNT,
    DB_CLIENT_CONNECTION_MAX,
    DB_CLIENT_CONNECTION_PENDING_REQUESTS,
)
from sqlalchemy import Engine, QueuePool, event

IDLE, USED = DbClientConnectionStateValues.IDLE.value, DbClientConnectionStateValues.USED.value
COUNTED = "The connections that there are, by their state."


def watch_pool(engine: Engine, name: str, waiting: Callable[[], int], provider: MeterProvider) -> None:
    """Tell, whenever somebody collects, what an engine's pool has, and how many wait."""
    of_pool = {DB_CLIENT_CONNECTION_POOL_NAME: name}
    meter = provider.get_meter("orders.database")
    if isinstance(engine.pool, QueuePool):
        _watch_kept(engine.pool, of_pool, meter)
    else:
        _watch_passing(engine, of_pool, meter)
    meter.create_observable_up_down_counter(
        DB_CLIENT_CONNECTION_PENDING_REQUESTS,
        [lambda _: [Observation(waiting(), of_pool)]],
        "{request}",
        "How many wait for a connection.",
    )


def _watch_kept(pool: QueuePool, of_pool: dict[str, str], meter: Meter) -> None:
    def connections(_: CallbackOptions) -> list[Observation]:
        return [
            Observation(pool.checkedin(), {**of_pool, DB_CLIENT_CONNECTION_STATE: IDLE}),
            Observation(pool.checkedout(), {**of_pool, DB_CLIENT_CONNECTION_STATE: USED}),
        ]

    meter.create_observable_up_down_counter(DB_CLIENT_CONNECTION_COUNT, [connections], "{connection}", COUNTED)
    meter.create_observable_up_down_counter(
        DB_CLIENT_CONNECTION_MAX,
        [lambda _: [Observation(pool.size(), of_pool)]],
        "{connection}",
        "The most connections that there may be.",
    )


def _watch_passing(engine: Engine, of_pool: dict[str, str], meter: Meter) -> None:
    # What is open is in use: a pool that keeps nothing doesn't count, and knows no most.
    used = {**of_pool, DB_CLIENT_CONNECTION_STATE: USED}
    there = meter.create_up_down_counter(DB_CLIENT_CONNECTION_COUNT, "{connection}", COUNTED)
    event.listen(engine, "connect", lambda *_: there.add(1, used))
    event.listen(engine, "close", lambda *_: there.add(-1, used))
