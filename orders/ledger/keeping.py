"""Which connections are kept, and how far one is trusted that has lain idle."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Engine, NullPool, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from orders.settings import DatabaseSettings

_SINCE = "idle since"


def pool_of(settings: DatabaseSettings) -> dict[str, Any]:
    """Give the options by which an engine gets the pool of ``DATABASE_POOL``."""
    if settings.pool == "none":
        return {"poolclass": NullPool}
    return {"pool_size": settings.pool_size, "max_overflow": 0, "pool_timeout": settings.timeout.total_seconds()}


def look_after(engine: Engine, settings: DatabaseSettings) -> None:
    """Replace a kept connection that has lain idle for too long, or gives no sign of life, before it is used.

    In this order, which SQLAlchemy's ``pool_pre_ping`` would turn round: a connection that was dropped silently is not
    to be waited for.
    """
    if settings.pre_ping or settings.max_idle:
        event.listen(engine, "checkin", _note)
        event.listen(engine, "checkout", lambda raw, record, _: _check(engine, settings, raw, record))


def _now() -> float:
    # Not by the monotonic clock, which may stand still while a process is frozen.
    return time.time()


def _note(_: object, record: ConnectionPoolEntry) -> None:
    record.info[_SINCE] = _now()


def _check(engine: Engine, settings: DatabaseSettings, raw: Any, record: ConnectionPoolEntry) -> None:
    since = record.info.pop(_SINCE, None)
    if since is None:
        # It has just been made, for this very work.
        return
    if settings.max_idle and _now() - since > settings.max_idle.total_seconds():
        raise DisconnectionError("idle for too long")
    if settings.pre_ping:
        try:
            engine.dialect.do_ping(raw)
        except (engine.dialect.loaded_dbapi.Error, OSError) as error:
            raise DisconnectionError("no sign of life") from error
