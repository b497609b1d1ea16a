"""Who we are to PostgreSQL: asked for each physical connection, so that what is short-lived is not stale."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from sqlalchemy import Dialect, Engine, event
from sqlalchemy.engine import URL

from orders.aws import database_token, secret_of
from orders.errors import DependencyUnavailable, InvalidSetting
from orders.settings import DatabaseSettings


def identify(engine: Engine, settings: DatabaseSettings) -> None:
    """Have each physical connection of an engine come with credentials of its own, as ``DATABASE_AUTH`` says.

    Raises:
        InvalidSetting: they are of no use with this URL, or what fetches them is not installed.
    """
    if settings.auth == "password":
        return
    by = f"DATABASE_AUTH={settings.auth}"
    if engine.url.password is not None:
        raise InvalidSetting(f"DATABASE_URL: holds a password, of which {by} makes nothing: take it out")
    if "unix_sock" in engine.url.query:
        raise InvalidSetting(f"DATABASE_URL: names a Unix socket, which is not for {by}: name a host")
    if find_spec("botocore") is None:
        raise InvalidSetting(f"DATABASE_AUTH: {settings.auth} needs pip install 'order-lifecycle[aws]'")
    fetch = _fetching(engine.url, settings)

    def give(_dialect: Dialect, _record: object, _arguments: object, named: dict[str, Any]) -> None:
        try:
            named.update(fetch())
        except InvalidSetting as error:
            # Others see to it elsewhere, while this process lives: like a server that is not there it is waited for.
            raise DependencyUnavailable("PostgreSQL", str(error)) from error

    event.listen(engine, "do_connect", give)


def mistrusted(said: str, settings: DatabaseSettings) -> str:
    """Say which setting to look at where PostgreSQL does not believe who we are."""
    return said if settings.auth == "password" else f"{said}: see DATABASE_AUTH, which is {settings.auth}"


def _fetching(url: URL, settings: DatabaseSettings) -> Callable[[], dict[str, str]]:
    if settings.auth == "iam":
        host, port, user = url.host or "localhost", url.port or 5432, url.username or ""
        return lambda: {"password": database_token(host, port, user)}
    arn = settings.secret_arn or ""
    return lambda: _of_secret(secret_of(arn, "DATABASE_SECRET_ARN", settings.timeout), arn)


def _of_secret(secret: Mapping[str, str], arn: str) -> dict[str, str]:
    missing = [name for name in ("username", "password") if not secret.get(name)]
    if missing:
        raise InvalidSetting(f"DATABASE_SECRET_ARN: the secret {arn} has no {missing[0]}")
    return {"user": secret["username"], "password": secret["password"]}
