"""Who we are to PostgreSQL: a password that changes, and one that is valid for a quarter of an hour."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import Connection, text

from migrations.__main__ import _main as migrate
from orders.errors import DependencyUnavailable, InvalidSetting
from orders.ledger.engine import Database, engine_of
from orders.settings import DatabaseSettings, load
from tests.examples import new_id
from tests.logged import logged
from tests.secrets_manager import ARN, SecretsManager
from tests.tls import Certificates, front

Role = Callable[[str], None]


@pytest.fixture(scope="module")
def heard() -> list[bytes]:
    """What PostgreSQL is told, after its decryption."""
    return []


@pytest.fixture(scope="module")
def reach(heard: list[bytes]) -> Callable[[], socket.socket]:
    class Heard(socket.socket):
        def sendall(self, data: Any, *flags: Any) -> None:
            heard.append(bytes(data))
            super().sendall(data, *flags)

    def reach() -> socket.socket:
        there = Heard(socket.AF_UNIX)
        there.connect(parse_qs(urlsplit(os.environ["TESTS_POSTGRES_URL"]).query)["host"][0] + "/.s.PGSQL.5432")
        return there

    return reach


@pytest.fixture(scope="module")
def encrypted(reach: Callable[[], socket.socket], ours: Certificates) -> Iterator[int]:
    with front(reach, ours.server("127.0.0.1"), asked=True) as port:
        yield port


@pytest.fixture(scope="module")
def plain(reach: Callable[[], socket.socket]) -> Iterator[int]:
    with front(reach, None) as port:
        yield port


@pytest.fixture
def name(database: Database) -> Iterator[str]:
    """A role that has to give its password."""
    name = f"rotated_{new_id()}"
    database.run(lambda connection: connection.execute(text(f"create role {name} login superuser")))
    yield name
    database.run(lambda connection: connection.execute(text(f"drop role {name}")))


@pytest.fixture
def change(database: Database, name: str, secrets_manager: SecretsManager) -> Role:
    """Changes the role's password, and the secret, as a rotation does."""

    def change(password: str) -> None:
        database.run(lambda connection: connection.execute(text(f"alter role {name} password '{password}'")))
        # With the port, which is a number in the secrets that RDS makes.
        secrets_manager.put(username=name, password=password, port=5432)

    return change


def by_secret(port: int, database_url: str, **settings: str) -> DatabaseSettings:
    url = f"postgresql://127.0.0.1:{port}{urlsplit(database_url).path}"
    given = {"DATABASE_AUTH": "secret", "DATABASE_SECRET_ARN": ARN, "DATABASE_POOL_SIZE": "1"}
    return load(DatabaseSettings, DATABASE_URL=url, **given | settings)


def user(connection: Connection) -> str:
    return str(connection.execute(text("select current_user")).scalar_one())


def test_a_password_that_was_changed_is_fetched_for_the_next_connection(
    plain: int, database_url: str, database: Database, name: str, change: Role, secrets_manager: SecretsManager
) -> None:
    change("the first one")
    ours = Database(by_secret(plain, database_url))
    assert [ours.run(user), ours.run(user)] == [name, name]
    assert secrets_manager.asked == [ARN]
    change("another one")
    # The connection that is there stays; when it has ended another one begins with the new password.
    assert ours.run(user) == name
    ended = text("select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = :name")
    database.run(lambda connection: connection.execute(ended, {"name": name}).all())
    assert ours.run(user) == name
    assert secrets_manager.asked == [ARN, ARN]
    ours.close()


def test_a_password_that_postgresql_does_not_believe_is_said_to_be_so_with_the_setting_to_look_at(
    plain: int, database_url: str, name: str, change: Role, secrets_manager: SecretsManager
) -> None:
    change("the right one")
    secrets_manager.put(username=name, password="hunter2")
    ours = Database(by_secret(plain, database_url))
    with pytest.raises(DependencyUnavailable, match=r"authentication failed .*: see DATABASE_AUTH") as refused:
        ours.ping()
    assert "hunter2" not in str(refused.value)
    ours.close()


def test_a_secret_without_a_password_is_waited_for(
    plain: int, database_url: str, secrets_manager: SecretsManager
) -> None:
    secrets_manager.put(username="ann")
    ours = Database(by_secret(plain, database_url))
    with pytest.raises(DependencyUnavailable, match=f"DATABASE_SECRET_ARN: the secret {ARN} has no password$"):
        ours.ping()
    ours.close()


def test_nobody_is_told_of_a_password(plain: int, database_url: str, change: Role) -> None:
    change("hunter2-of-the-log")
    with logged(logging.DEBUG) as log:
        ours = Database(by_secret(plain, database_url))
        ours.ping()
    assert ours.engine.url.password is None
    assert "hunter2" not in log.getvalue() + repr(ours.engine) + repr(ours.engine.url)
    ours.close()


async def test_migrations_prove_who_they_are_like_all_else(
    plain: int, database_url: str, change: Role, secrets_manager: SecretsManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    change("of the migrations")
    settings = by_secret(plain, database_url)
    monkeypatch.setenv("DATABASE_URL", settings.url.get_secret_value())
    monkeypatch.setenv("DATABASE_AUTH", "secret")
    monkeypatch.setenv("DATABASE_SECRET_ARN", ARN)
    await migrate(None)
    assert len(secrets_manager.asked) > 1


@pytest.fixture
def signed(database: Database) -> Iterator[str]:
    """A role whose password PostgreSQL wants as it is, as that of RDS wants a token."""
    name = f"signed_{new_id()}"
    database.run(lambda connection: connection.execute(text(f"create role {name} login password 'no token'")))
    yield name
    database.run(lambda connection: connection.execute(text(f"drop role {name}")))


def by_token(user: str, port: int, ours: Certificates, database_url: str) -> DatabaseSettings:
    url = f"postgresql://{user}@127.0.0.1:{port}{urlsplit(database_url).path}"
    encryption = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(ours.ca)}
    return load(DatabaseSettings, DATABASE_URL=url, DATABASE_AUTH="iam", **encryption)


@pytest.mark.usefixtures("secrets_manager")
def test_each_connection_comes_with_a_token_of_its_own_for_this_host_and_this_user(
    encrypted: int, ours: Certificates, signed: str, heard: list[bytes], database_url: str
) -> None:
    engine = Database(by_token(signed, encrypted, ours, database_url))
    heard.clear()
    for _ in range(2):
        # Only RDS can check it.
        with pytest.raises(DependencyUnavailable, match=r"authentication failed .*: see DATABASE_AUTH, which is iam$"):
            engine.ping()
    engine.close()
    tokens = [each[5:-1].decode() for each in heard if each.startswith(b"p")]
    assert len(tokens) == 2
    for token in tokens:
        asked = parse_qs(urlsplit(f"https://{token}").query)
        assert token.startswith(f"127.0.0.1:{encrypted}/?")
        assert (asked["Action"], asked["DBUser"], asked["X-Amz-Expires"]) == (["connect"], [signed], ["900"])


@pytest.mark.usefixtures("secrets_manager")
def test_a_token_never_goes_out_as_it_is(
    plain: int, ours: Certificates, signed: str, heard: list[bytes], database_url: str
) -> None:
    heard.clear()
    engine = Database(by_token(signed, plain, ours, database_url))
    with pytest.raises(DependencyUnavailable, match="does not encrypt, which PGSSLMODE asks for"):
        engine.ping()
    engine.close()
    assert not [each for each in heard if b"X-Amz" in each]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"DATABASE_URL": "postgresql://ann:hunter2@h/d"}, "DATABASE_URL: holds a password"),
        ({"DATABASE_URL": "postgresql://ann@/d?host=/tmp"}, "DATABASE_URL: names a Unix socket"),
    ],
)
def test_a_url_that_does_not_go_with_it_names_its_setting(given: dict[str, str], line: str) -> None:
    for auth in (
        {"DATABASE_AUTH": "iam", "PGSSLMODE": "require"},
        {"DATABASE_AUTH": "secret", "DATABASE_SECRET_ARN": ARN},
    ):
        with pytest.raises(InvalidSetting, match=f"^{line}") as wrong:
            engine_of(load(DatabaseSettings, **given | auth))
        assert "hunter2" not in str(wrong.value)


def test_who_lacks_what_asks_aws_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orders.ledger.credentials.find_spec", lambda name: None)
    settings = load(DatabaseSettings, DATABASE_URL="postgresql://h/d", DATABASE_AUTH="iam", PGSSLMODE="require")
    with pytest.raises(InvalidSetting, match=r"^DATABASE_AUTH: .*pip install 'order-lifecycle\[aws\]'$"):
        engine_of(settings)
