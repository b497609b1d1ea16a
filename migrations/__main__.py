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
from collections.abc import Callable, Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, NullPool, text
from sqlalchemy.exc import DBAPIError

from migrations.catalogue import EXAMPLE, InvalidCatalogue, enter, read
from orders.errors import InvalidSetting, OrderError
from orders.ledger.engine import Database, engine_of
from orders.ledger.limits import of_migration
from orders.logs import set_up_logging
from orders.patience import patiently
from orders.settings import DatabaseSettings, load

logger = logging.getLogger(__name__)
LOCK = 0x6F72646572
"""The advisory lock that makes two migrations at once one after the other: "order" in ASCII."""
PATIENCE = 600.0
"""How long, in seconds, a migration waits for that lock: another pod's migration may take a while."""
SAID_EVERY = 5.0
"""After how many seconds the log says again who has it."""
RESTS = (1.0, 2.0, 4.0, 8.0, 15.0)
"""After how many seconds each a migration is tried again that did not get the lock of a table."""
_NO_LOCK = "55P03"
# PostgreSQL keeps a key of 64 bits in two halves (its documentation, "pg_locks").
_HOLDER = text(
    "select pid, coalesce(usename, 'unknown') from pg_locks left join pg_stat_activity using (pid) "
    "where locktype = 'advisory' and granted and objsubid = 1 and (classid::bigint << 32 | objid::bigint) = :lock "
    "and database = (select oid from pg_database where datname = current_database())"
)


class NoLock(OrderError):
    """Somebody had what a migration needs for longer than it may wait; the text says what to do."""


def upgrade(engine: Engine, revision: str = "head", rests: Sequence[float] = RESTS, patience: float = PATIENCE) -> None:
    """Apply every migration that is missing, up to this one; a schema of a newer release stays as it is.

    Raises:
        NoLock: another session held the migrations' lock for longer than ``patience`` (seconds), or a table was in use
            for too long at every try; what had been applied before stays.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["engine"] = engine
    with engine.connect() as connection:
        _wait_for_turn(connection, patience)
        try:
            found, newest = MigrationContext.configure(connection).get_current_revision(), _newest(config)
            # A pod of the last release that is started anew, after the next one has migrated. Revisions are numbers of
            # equal length; of one that it does not know Alembic can't tell that it is newer.
            if found and found > newest:
                logger.info("the schema of the database is at %s, of a newer release: %s is in it", found, newest)
            else:
                _in_turn(lambda: command.upgrade(config, revision), rests)
        finally:
            connection.execute(text("select pg_advisory_unlock(:lock)"), {"lock": LOCK})


def _wait_for_turn(connection: Connection, patience: float) -> None:
    """Take the migrations' lock, and say meanwhile who has it: any user of the database may."""
    began = said = time.monotonic()
    # Whoever waits inside a statement keeps a snapshot, and an index that is built concurrently waits for that one.
    while not connection.execute(text("select pg_try_advisory_lock(:lock)"), {"lock": LOCK}).scalar_one():
        holder = connection.execute(_HOLDER, {"lock": LOCK}).one_or_none()
        now = time.monotonic()
        if holder and now - began > patience:
            pid, user = holder
            raise NoLock(
                f"pid {pid} (user {user}) has had the lock of the migrations for {patience:g} s: unless it migrates, "
                f"end it by `select pg_terminate_backend({pid})`; then run the migrations again"
            )
        if holder and (said == began or now - said > SAID_EVERY):
            logger.info("waiting for pid %s (user %s), which has the lock of the migrations", *holder)
            said = now
        time.sleep(0.2)


def _in_turn(migrate: Callable[[], None], rests: Sequence[float]) -> None:
    """Try again after each rest: everybody else waits behind who waits for a table, so no try may take long."""
    for rest in rests:
        try:
            migrate()
        except DBAPIError as error:
            logger.warning("a table is in use: tried again in %g s (%s)", rest, _said(error))
            time.sleep(rest)
        else:
            return
    try:
        migrate()
    except DBAPIError as error:
        raise NoLock(
            f"a table was in use at each of {len(rests) + 1} tries: end the transactions that hold it, the oldest "
            f"xact_start in pg_stat_activity first, and run the migrations again ({_said(error)})"
        ) from error


def _said(error: DBAPIError) -> str:
    """What PostgreSQL says about a lock that was not to be had in time; any other error goes on."""
    answer = error.orig.args[0] if error.orig and error.orig.args else None
    if not isinstance(answer, dict) or answer.get("C") != _NO_LOCK:
        raise error
    return str(answer.get("M"))


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
    # Without the service's pool and limits of statements.
    engine = engine_of(
        settings, connect_args={"startup_params": dict(of_migration(settings.timeout))}, poolclass=NullPool
    )
    await asyncio.to_thread(upgrade, engine)
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
    except (InvalidSetting, InvalidCatalogue, NoLock, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
