"""Which schema the code needs, and whether the database has it."""

from __future__ import annotations

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from orders.errors import SchemaBehind
from orders.ledger.engine import Database

NEEDED = "0005"
"""The revision of ``migrations/versions`` without which the code can't work: the newest one."""
_REVISION = text("select version_num from alembic_version")
_NO_SUCH_TABLE = "42P01"


def check_schema(database: Database) -> None:
    """Ask PostgreSQL for a sign of life, and whether its schema is as new as the code needs it.

    A newer one will do: it is that of the next release, which begins by adding what this one does not know.

    Raises:
        DependencyUnavailable: there is none.
        SchemaBehind: it is older.
    """
    found = database.run(_revision)
    # They are numbers of equal length.
    if found is None or found < NEEDED:
        raise SchemaBehind(found, NEEDED)


def _revision(connection: Connection) -> str | None:
    try:
        found: str | None = connection.execute(_REVISION).scalar_one_or_none()
    except DBAPIError as error:
        answer = error.orig.args[0] if error.orig and error.orig.args else None
        if isinstance(answer, dict) and answer.get("C") == _NO_SUCH_TABLE:
            # A transaction, where a pooler has each piece of work in one, can't be committed any more.
            connection.rollback()
            return None
        raise
    return found
