"""A span for each SQL statement, by OpenTelemetry's instrumentation of SQLAlchemy."""

from __future__ import annotations

import warnings

from opentelemetry.instrumentation.sqlalchemy.engine import EngineTracer
from opentelemetry.metrics import NoOpUpDownCounter
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import Engine

import orders.conventions  # noqa: F401 - the instrumentation reads them when it is made


def trace_statements(engine: Engine, provider: TracerProvider, comments: bool) -> None:
    """Make a span of each statement of this engine; its parameters are not in it."""
    # It looks for the name of the database in a place of which pg8000 warns that it is not in DB-API 2.0.
    warnings.filterwarnings("ignore", "DB-API extension cursor.connection used")
    # Not by its instrumentor, which changes SQLAlchemy for the whole process. What it would count of the pool has old
    # names; `watch_pool` counts it under today's.
    EngineTracer(  # type: ignore[no-untyped-call]
        provider.get_tracer("opentelemetry.instrumentation.sqlalchemy"),
        engine,
        NoOpUpDownCounter("db.client.connections.usage"),
        enable_commenter=comments,
        commenter_options={"db_driver": False, "db_framework": False},
    )
