"""``python -m migrations`` brings the database of ``DATABASE_URL`` up to date; safe twice and at once."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, NullPool, create_engine, text

from orders.errors import InvalidSetting
from orders.ledger.engine import Database, pg8000_url
from orders.logs import set_up_logging
from orders.patience import patiently
from orders.settings import DatabaseSettings, load

LOCK = 0x6F72646572
"""The advisory lock that makes two migrations at once one after the other: "order" in ASCII."""


def upgrade(engine: Engine) -> None:
    """Apply every migration that is missing."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["engine"] = engine
    with engine.connect() as connection:
        connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": LOCK})
        try:
            command.upgrade(config, "head")
        finally:
            connection.execute(text("select pg_advisory_unlock(:lock)"), {"lock": LOCK})


async def _main() -> None:
    settings = load(DatabaseSettings)
    database = Database(settings)

    async def ping() -> None:
        await asyncio.to_thread(database.ping)

    await patiently(ping)
    database.close()
    # Without the service's pool and time limits: to wait for another migration, or to build an index, may take long.
    url = pg8000_url(settings.url.get_secret_value())
    await asyncio.to_thread(upgrade, create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool))


if __name__ == "__main__":
    try:
        set_up_logging()
        asyncio.run(_main())
    except InvalidSetting as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
