"""The limits that PostgreSQL keeps for us, as parameters that a session begins with.

All follow from ``DATABASE_TIMEOUT``, in an order of their own: who waits for a lock is told so before the time of the
whole statement is up, and a migration gives up its place in the queue for a lock before those behind it have to.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

STATEMENT, LOCK, IDLE = "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"
NAMES = (STATEMENT, LOCK, IDLE)


def of_process(timeout: timedelta) -> Mapping[str, str]:
    """Limit each statement, its waiting for a lock, and how long a transaction may stand open with nothing asked."""
    return {STATEMENT: _in_ms(timeout), LOCK: _in_ms(0.8 * timeout), IDLE: _in_ms(timeout)}


def of_migration(timeout: timedelta) -> Mapping[str, str]:
    """Limit all but the statements: to rewrite a table, or to build an index, may take long."""
    return {LOCK: _in_ms(0.5 * timeout), IDLE: _in_ms(timeout)}


def _in_ms(limit: timedelta) -> str:
    # 0 would be no limit.
    return str(max(1, int(limit.total_seconds() * 1000)))
