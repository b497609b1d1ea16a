"""``python -m migrations`` brings the database of ``DATABASE_URL`` up to date; safe twice and at once.

With ``--catalogue [FILE]`` it then enters the articles of a catalogue that are not in stock yet.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, NullPool, text

from migrations.catalogue import EXAMPLE, InvalidCatalogue, enter, read
from orders.errors import InvalidSetting
from orders.ledger.engine import Database, engine_of
from orders.logs import set_up_logging
from orders.patience import patiently
from orders.settings import DatabaseSettings, load

logger = logging.getLogger(__name__)
LOCK = 0x6F72646572
"""The advisory lock that makes two migrations at once one after the other: "order" in ASCII."""


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Apply every migration that is missing, up to this one; a schema of a newer release stays as it is."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["engine"] = engine
    with engine.connect() as connection:
        # Whoever waits inside a statement keeps a snapshot, and an index that is built concurrently waits for that one.
        while not connection.execute(text("select pg_try_advisory_lock(:lock)"), {"lock": LOCK}).scalar_one():
            time.sleep(0.2)
        try:
            found, newest = MigrationContext.configure(connection).get_current_revision(), _newest(config)
            # A pod of the last release that is started anew, after the next one has migrated. Revisions are numbers of
            # equal length; of one that it does not know Alembic can't tell that it is newer.
            if found and found > newest:
                logger.info("the schema of the database is at %s, of a newer release: %s is in it", found, newest)
            else:
                command.upgrade(config, revision)
        finally:
            connection.execute(text("select pg_advisory_unlock(:lock)"), {"lock": LOCK})


def _newest(config: Config) -> str:
    newest = ScriptDirectory.from_config(config).get_current_head()
    assert newest
    return newest


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m migrations", description="Brings the database up to date.")
    parser.add_argument(
        "--catalogue",
        type=Path,
        nargs="?",
        const=EXAMPLE,
        metavar="FILE",
        help="then enter the articles of this file (CSV: sku,on_hand), or the example's, that are not in stock yet",
    )
    return parser.parse_args()


async def _main(catalogue: Path | None) -> None:
    articles = read(catalogue) if catalogue else []
    settings = load(DatabaseSettings)
    if settings.pooler != "none":
        # They lock it for a session, and build indexes outside of transactions.
        raise InvalidSetting("DATABASE_POOLER: migrations need the database itself: leave it out, with the URL of that")
    database = Database(settings)

    async def ping() -> None:
        await asyncio.to_thread(database.ping)

    await patiently(ping)
    # Without the service's pool and time limits: to wait for another migration, or to build an index, may take long.
    await asyncio.to_thread(upgrade, engine_of(settings, poolclass=NullPool))
    if articles:
        entered = await asyncio.to_thread(enter, database, articles)
        logger.info("%s of %s articles entered, the others were there", entered, len(articles))
    database.close()


if __name__ == "__main__":
    # As the first process of a container it would not be ended by SIGTERM, which has no default there. A migration that
    # is under way is finished first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        set_up_logging("orders-migrations")
        asyncio.run(_main(_arguments().catalogue))
    except (InvalidSetting, InvalidCatalogue, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
