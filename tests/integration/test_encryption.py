"""A PostgreSQL that encrypts, each way of asking it, and what is said when that fails."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from migrations.__main__ import _main as migrate
from orders.errors import DependencyUnavailable
from orders.ledger.engine import Database
from orders.settings import DatabaseSettings, load
from tests.tls import Certificates, front

Settings = Callable[..., DatabaseSettings]


def reach() -> socket.socket:
    there = socket.socket(socket.AF_UNIX)
    there.connect(parse_qs(urlsplit(os.environ["TESTS_POSTGRES_URL"]).query)["host"][0] + "/.s.PGSQL.5432")
    return there


@pytest.fixture(scope="module")
def ports(ours: Certificates) -> Iterator[dict[str, int]]:
    """Where servers listen: with TLS, by another name, out of time, wanting certificates, and one without TLS."""
    older = ours.server("127.0.0.1", wants_certificates=True)
    # Only since 1.3 does the handshake end before the server has looked at the client's certificate.
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        front(reach, ours.server("127.0.0.1"), asked=True) as encrypted,
        front(reach, ours.server("db.example"), asked=True) as renamed,
        front(reach, ours.server("127.0.0.1", expired=True), asked=True) as expired,
        front(reach, ours.server("127.0.0.1", wants_certificates=True), asked=True) as strict,
        front(reach, older, asked=True) as strict_at_once,
        front(reach, None) as plain,
    ):
        yield {
            "encrypted": encrypted,
            "renamed": renamed,
            "expired": expired,
            "strict": strict,
            "strict at once": strict_at_once,
            "plain": plain,
        }


@pytest.fixture(scope="module")
def settings(ports: dict[str, int], ours: Certificates, theirs: Certificates) -> Settings:
    files = {"ours": ours.ca, "theirs": theirs.ca, "our cert": ours.cert, "our key": ours.key}
    files |= {"their cert": theirs.cert, "their key": theirs.key}

    def settings(server: str, query: str = "", **given: str) -> DatabaseSettings:
        url = f"postgresql://postgres@127.0.0.1:{ports[server]}/postgres{query}"
        said = {f"PGSSL{name.upper()}": str(files.get(value, value)) for name, value in given.items()}
        return load(DatabaseSettings, DATABASE_URL=url, **said)

    return settings


@pytest.mark.parametrize(
    ("server", "given"),
    [
        ("plain", {}),
        ("plain", {"mode": "disable"}),
        ("encrypted", {"mode": "require"}),
        ("renamed", {"mode": "require"}),
        ("encrypted", {"mode": "verify-ca", "rootcert": "ours"}),
        ("renamed", {"mode": "verify-ca", "rootcert": "ours"}),
        ("renamed", {"mode": "require", "rootcert": "ours"}),
        ("encrypted", {"mode": "verify-full", "rootcert": "ours"}),
        ("strict", {"mode": "require", "cert": "our cert", "key": "our key"}),
        ("strict", {"mode": "verify-full", "rootcert": "ours", "cert": "our cert", "key": "our key"}),
    ],
)
def test_a_server_is_reached_that_is_what_the_mode_wants(
    settings: Settings, server: str, given: dict[str, str]
) -> None:
    database = Database(settings(server, **given))
    database.ping()
    database.close()


@pytest.mark.parametrize(
    ("server", "given", "reason"),
    [
        ("plain", {"mode": "require"}, "does not encrypt, which PGSSLMODE asks for"),
        ("plain", {"mode": "verify-full"}, "does not encrypt, which PGSSLMODE asks for"),
        ("encrypted", {"mode": "require", "rootcert": "theirs"}, "is not trusted .*see PGSSLROOTCERT"),
        ("encrypted", {"mode": "verify-ca", "rootcert": "theirs"}, "is not trusted .*see PGSSLROOTCERT"),
        ("encrypted", {"mode": "verify-full", "rootcert": "theirs"}, "is not trusted .*see PGSSLROOTCERT"),
        ("encrypted", {"mode": "verify-full"}, "is not trusted .*see PGSSLROOTCERT"),
        ("encrypted", {"mode": "verify-full", "rootcert": "system"}, "is not trusted .*see PGSSLROOTCERT"),
        ("expired", {"mode": "verify-ca", "rootcert": "ours"}, "has expired.*see PGSSLROOTCERT"),
        ("expired", {"mode": "verify-full", "rootcert": "ours"}, "has expired.*see PGSSLROOTCERT"),
        ("renamed", {"mode": "verify-full", "rootcert": "ours"}, "not for the host in DATABASE_URL"),
        ("strict", {"mode": "require"}, "wants one: see PGSSLCERT"),
        ("strict at once", {"mode": "require"}, "wants one: see PGSSLCERT"),
        ("strict", {"mode": "require", "cert": "their cert", "key": "their key"}, "wants one: see PGSSLCERT"),
    ],
)
def test_a_server_that_is_not_is_unavailable_for_a_reason_that_names_the_setting(
    settings: Settings, server: str, given: dict[str, str], reason: str
) -> None:
    database = Database(settings(server, **given))
    with pytest.raises(DependencyUnavailable, match=reason) as refused:
        database.ping()
    assert "\n" not in str(refused.value)
    database.close()


def test_what_the_url_says_counts_before_the_variables(settings: Settings, ours: Certificates) -> None:
    query = f"?sslmode=verify-full&sslrootcert={ours.ca}&sslcert={ours.cert}&sslkey={ours.key}"
    database = Database(settings("strict", query, mode="disable"))
    database.ping()
    database.close()


def test_a_unix_socket_is_not_encrypted_whatever_the_mode(database_url: str) -> None:
    database = Database(load(DatabaseSettings, DATABASE_URL=database_url, PGSSLMODE="verify-full"))
    database.ping()
    database.close()


async def test_migrations_are_encrypted_like_all_else(
    ports: dict[str, int], ours: Certificates, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "DATABASE_URL", f"postgresql://postgres@127.0.0.1:{ports['strict']}{urlsplit(database_url).path}"
    )
    files = {"ROOTCERT": ours.ca, "CERT": ours.cert, "KEY": ours.key}
    for name, value in {"MODE": "verify-full", **files}.items():
        monkeypatch.setenv(f"PGSSL{name}", str(value))
    await migrate(None)
