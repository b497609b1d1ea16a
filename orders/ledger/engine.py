"""How the ledger reaches PostgreSQL: one engine a process, one thread for each of its connections."""

from __future__ import annotations

import asyncio
import contextvars
import getpass
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from orders.deadline import remaining
from orders.errors import DependencyUnavailable, InvalidSetting, Overloaded
from orders.ledger import limits
from orders.ledger.credentials import identify, mistrusted
from orders.ledger.encryption import context_of, explained
from orders.ledger.keeping import look_after, pool_of
from orders.settings import DatabaseSettings
from orders.settings.servers import IN_URL

T = TypeVar("T")

_NOT_THERE = ("08", "25P03", "28", "3D", "53", "55P03", "57P", "57014")
"""SQLSTATEs that mean "not now" or "not with this URL": connection, a transaction that stood idle, authorization, no
such database, resources, a lock that was not to be had, operator, statement timeout (PostgreSQL manual, appendix A)."""
_WHO = "28"
"""The class of SQLSTATEs that mean that the server does not believe who we are."""
_SHORTEN = text("select set_config('statement_timeout', :limit, false)")
_RESTORE = text("reset statement_timeout")
_PARAMETERS = frozenset({"host", "port", "unix_sock", "application_name"})


class Database:
    """The engine and the threads that use it.

    Every statement of the ledger is a transaction of its own, so connections are in autocommit and a
    transaction costs one round trip. Threads and connections are equally many: nobody waits for a connection.

    Behind a pooler of transactions each piece of work is one, with its begin and its end. In autocommit pg8000 would be
    lent another connection of the server's between the parts of one statement, and set up the next one's session.
    """

    def __init__(self, settings: DatabaseSettings) -> None:
        self._is_pooled = settings.pooler == "transaction"
        self.engine: Engine = engine_of(
            settings,
            # An error is logged, goes to Temporal and into a span: it tells nothing of customers.
            hide_parameters=True,
            connect_args={
                # The server's own limit comes first: cutting the connection is for when it can't say so any more.
                "timeout": settings.timeout.total_seconds() + 1,
                # A pooler refuses such parameters, and who sets them later keeps a connection for himself.
                "startup_params": {} if self._is_pooled else dict(limits.of_process(settings.timeout)),
            },
            **pool_of(settings),
        )
        look_after(self.engine, settings)
        event.listen(self.engine, "handle_error", _without_values)
        self._settings = settings
        self.threads = ThreadPoolExecutor(settings.pool_size, thread_name_prefix="database")
        self._timeout = settings.timeout
        self._most = settings.pool_size + settings.max_waiting
        self._asked = 0
        self._answered_at = -math.inf

    def run(self, work: Callable[[Connection], T], end: float | None = None) -> T:
        """Run work on a connection. It may run twice, so it has to bear that: once more after a lost connection.

        ``end`` is the time of the monotonic clock at which a statement has to be over, whatever the setting says.

        Raises:
            DependencyUnavailable: PostgreSQL can't be reached, or is too busy or not ready to answer.
        """
        try:
            try:
                return self._run(work, end)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                return self._run(work, end)
            except ConnectionError:
                # So pg8000 lets a connection through that was reset before the server's last words were read.
                return self._run(work, end)
        except SQLAlchemyError as error:
            if _is_away(error):
                raise DependencyUnavailable("PostgreSQL", _reason(error, self._settings)) from error
            raise
        except OSError as error:
            # pg8000 lets an answer that doesn't come in time, and what goes wrong with TLS, through as it is.
            raise DependencyUnavailable("PostgreSQL", explained(error, f"no answer ({error})")) from error

    async def run_async(self, work: Callable[[Connection], T]) -> T:
        """Do the same from an event loop, in one of the threads, and within the deadline of what is being done.

        Raises:
            DependencyUnavailable: PostgreSQL can't be reached, or gives no answer in time.
            Overloaded: too many wait for a connection already.
        """
        if self._asked >= self._most:
            raise Overloaded("too many requests wait for PostgreSQL")
        end = time.monotonic() + remaining(self._timeout).total_seconds()
        self._asked += 1
        try:
            # The context carries the request's span over to the thread.
            run = contextvars.copy_context().run
            return await asyncio.get_running_loop().run_in_executor(self.threads, run, self.run, work, end)
        finally:
            self._asked -= 1

    @property
    def waiting(self) -> int:
        """How many pieces of work wait for a thread, and so for a connection."""
        # The one place where that is known: workers hand their activities to the threads by themselves.
        return self.threads._work_queue.qsize()

    def has_answered_within(self, limit: timedelta) -> bool:
        """Whether some work has come to its end within this time."""
        return time.monotonic() - self._answered_at <= limit.total_seconds()

    def ping(self) -> None:
        """Ask PostgreSQL for a sign of life.

        Raises:
            DependencyUnavailable: there is none.
        """
        self.run(lambda connection: connection.execute(text("select 1")))

    def close(self) -> None:
        """Close every connection and thread."""
        self.threads.shutdown(wait=True, cancel_futures=True)
        self.engine.dispose()

    def _run(self, work: Callable[[Connection], T], end: float | None) -> T:
        left = self._timeout if end is None else timedelta(seconds=end - time.monotonic())
        if left <= timedelta(0):
            raise DependencyUnavailable("PostgreSQL", "no connection was free in time")
        # With (nearly) all the time that a statement may take anyway there is nothing to tell the server.
        is_shorter = left < 0.9 * self._timeout and not self._is_pooled
        with self.engine.connect() as connection:
            try:
                if is_shorter:
                    connection.execute(_SHORTEN, {"limit": str(max(1, int(left.total_seconds() * 1000)))})
                found = work(connection)
                if self._is_pooled:
                    connection.commit()
            except DBAPIError:
                # The server has answered, or SQLAlchemy has seen that the connection is gone.
                raise
            except BaseException:
                # The answer may still come, and must not be taken for that to another question.
                connection.invalidate()
                raise
            else:
                self._answered_at = time.monotonic()
                return found
            finally:
                if is_shorter:
                    _restore(connection)


def _restore(connection: Connection) -> None:
    """Give a connection its own limit again, or give it up."""
    try:
        if not connection.invalidated:
            connection.execute(_RESTORE)
    except (SQLAlchemyError, OSError):
        connection.invalidate()


def engine_of(settings: DatabaseSettings, *, connect_args: Mapping[str, Any] | None = None, **options: Any) -> Engine:
    """Make an engine whose connections are encrypted and prove who they are as the settings say.

    They are in autocommit, unless it is a pooler of transactions that they reach. Certificates are read here, once.

    Raises:
        InvalidSetting: ``DATABASE_URL`` is no PostgreSQL URL, or does not go with ``DATABASE_AUTH``.
    """
    url = pg8000_url(settings.url.get_secret_value())
    # As libpq has it, a Unix socket is not encrypted. Without a word pg8000 would try, and go on if the server refuses.
    context = None if "unix_sock" in url.query else context_of(settings)
    arguments = {"ssl_context": context or False, **(connect_args or {})}
    if url.username is None and settings.auth != "secret":
        raise InvalidSetting("DATABASE_URL: names no user, nor has this process one; write postgresql://user@host/name")
    if settings.pooler == "none":
        options["isolation_level"] = "AUTOCOMMIT"
    engine = create_engine(url, connect_args=arguments, **options)
    identify(engine, settings)
    return engine


def pg8000_url(url: str) -> URL:
    """Turn a PostgreSQL URL as libpq writes it into one for pg8000, which has no parameters for encryption.

    ``postgresql://user@/name?host=/folder`` names a Unix socket, as in libpq's connection URIs
    (PostgreSQL manual, "Connection URIs").

    Raises:
        InvalidSetting: it is no PostgreSQL URL.
    """
    try:
        parsed = make_url(url)
    except (SQLAlchemyError, ValueError) as error:
        raise InvalidSetting("DATABASE_URL: not a URL; write postgresql://user:password@host:5432/name") from error
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise InvalidSetting(f"DATABASE_URL: {parsed.get_backend_name()} is not PostgreSQL; write postgresql://…")
    # As libpq has it, who does not say who he is comes as the user of the operating system.
    parsed = parsed.set(drivername="postgresql+pg8000", username=parsed.username or _of_system())
    parsed = parsed.difference_update_query(IN_URL)
    if unknown := set(parsed.query) - _PARAMETERS:
        known = ", ".join(sorted(_PARAMETERS | set(IN_URL)))
        raise InvalidSetting(f"DATABASE_URL: {min(unknown)} is not known here; {known} are")
    folder = parsed.query.get("host")
    if isinstance(folder, str) and folder.startswith("/"):
        query: dict[str, Any] = {name: value for name, value in parsed.query.items() if name not in ("host", "port")}
        query["unix_sock"] = f"{folder}/.s.PGSQL.{parsed.query.get('port', 5432)}"
        parsed = parsed.set(query=query)
    return parsed


def _of_system() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run as a number of which nobody knows a name.
        return None


def _without_values(context: ExceptionContext) -> None:
    # pg8000 gives the server's answer as a dictionary: "D" is the detail, which quotes keys or whole rows, and "W" the
    # context (PostgreSQL manual, 54.8).
    error, known = context.original_exception, context.sqlalchemy_exception
    answer = error.args[0] if error.args else None
    if isinstance(answer, dict):
        for quoting in ("D", "W"):
            answer.pop(quoting, None)
        if known:
            known.args = (f"({type(error).__name__}) {answer}",)


def _is_away(error: SQLAlchemyError) -> bool:
    if isinstance(error, PoolTimeout):
        return True
    if isinstance(error, DBAPIError):
        # pg8000 gives the server's answer as a dictionary whose "C" is the SQLSTATE.
        answer = error.orig.args[0] if error.orig and error.orig.args else None
        if isinstance(answer, dict):
            return str(answer.get("C", "")).startswith(_NOT_THERE) or _is_of_pooler(answer)
        return error.connection_invalidated or isinstance(error, OperationalError) or _is_network(error)
    return False


def _is_of_pooler(answer: Mapping[str, str]) -> bool:
    # As PgBouncer and RDS Proxy refuse the limits that a session is to begin with.
    return answer.get("C") in ("08P01", "0A000") and any(name in answer.get("M", "") for name in limits.NAMES)


def _is_network(error: DBAPIError) -> bool:
    return type(error.orig).__name__ == "InterfaceError" or isinstance(error.orig, OSError)


def _reason(error: SQLAlchemyError, settings: DatabaseSettings) -> str:
    origin = error.orig if isinstance(error, DBAPIError) else error
    answer = origin.args[0] if origin and origin.args else origin
    if not isinstance(answer, dict):
        return explained(origin.__cause__ if origin else None, str(answer).splitlines()[0])
    said = str(answer.get("M"))
    if _is_of_pooler(answer):
        return f"{said}: see DATABASE_POOLER"
    reason = explained(None, said)
    is_mistrusted = reason == said and str(answer.get("C", "")).startswith(_WHO)
    return mistrusted(said, settings) if is_mistrusted else reason
