"""``python -m migrations`` brings the database of ``DATABASE_URL`` up to date; safe twice and at once."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from orders.errors import InvalidSetting
from orders.ledger.engine import Database
from orders.logs import set_up_logging
from orders.patience import patiently
from orders.settings import DatabaseSettings, load

LOCK = 0x6F72646572
"""The advisory lock that makes two migrations at once one after the other: "order" in ASCII."""


def upgrade(database: Database) -> None:
    """Apply every migration that is missing."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with database.engine.connect() as connection:
        connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": LOCK})
        try:
            config.attributes["engine"] = database.engine
            command.upgrade(config, "head")
        finally:
            connection.execute(text("select pg_advisory_unlock(:lock)"), {"lock": LOCK})


async def _main() -> None:
    database = Database(load(DatabaseSettings))

    async def ping() -> None:
        await asyncio.to_thread(database.ping)

    await patiently(ping)
    await asyncio.to_thread(upgrade, database)
    database.close()


if __name__ == "__main__":
    try:
        set_up_logging()
        asyncio.run(_main())
    except InvalidSetting as error:
        sys.exit(str(error))
