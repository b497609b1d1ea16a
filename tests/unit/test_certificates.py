"""What has to be said for a connection to be encrypted, and what can't be said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from orders.errors import InvalidSetting
from orders.settings import DatabaseSettings, TemporalSettings, load
from tests.tls import Certificates

NAMES = {
    "ca": "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
    "name": "TEMPORAL_TLS_SERVER_NAME",
    "cert": "TEMPORAL_TLS_CLIENT_CERT_PATH",
    "key": "TEMPORAL_TLS_CLIENT_KEY_PATH",
    "api_key": "TEMPORAL_API_KEY",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the tables below write as ``<name>``."""
    ours, theirs = (Certificates(tmp_path_factory.mktemp("certificates"), name) for name in ("ours", "theirs"))
    return {
        "<ca>": str(ours.ca),
        "<cert>": str(ours.cert),
        "<key>": str(ours.key),
        "<other key>": str(theirs.key),
        "<encrypted key>": str(encrypted(ours.key)),
        "<nowhere>": str(ours.ca.parent / "nowhere.pem"),
        "<folder>": str(ours.ca.parent),
    }


def encrypted(key: Path) -> Path:
    found = key.with_suffix(".encrypted")
    found.write_text(
        key.read_text().replace("-----\n", "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n", 1)
    )
    return found


@pytest.mark.parametrize(
    ("given", "is_encrypted"),
    [
        ({}, False),
        ({"TEMPORAL_TLS": "false"}, False),
        ({"TEMPORAL_TLS": "true"}, True),
        ({"TEMPORAL_API_KEY": "a-key"}, True),
        ({"TEMPORAL_TLS_SERVER_CA_CERT_PATH": "<ca>"}, True),
        ({"TEMPORAL_TLS_SERVER_NAME": "temporal.example"}, True),
        ({"TEMPORAL_TLS_CLIENT_CERT_PATH": "<cert>", "TEMPORAL_TLS_CLIENT_KEY_PATH": "<key>"}, True),
    ],
)
def test_temporal_is_asked_encrypted_where_anything_says_so(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str], given: dict[str, str], is_encrypted: bool
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, files.get(value, value))
    assert load(TemporalSettings).is_encrypted is is_encrypted


def test_an_api_key_is_not_shown() -> None:
    assert "a-key" not in repr(load(TemporalSettings, TEMPORAL_API_KEY="a-key"))


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"TEMPORAL_API_KEY": "a-key", "TEMPORAL_TLS": "false"}, "TEMPORAL_TLS: false can't be, with TEMPORAL_API_KEY"),
        ({NAMES["name"]: "x", "TEMPORAL_TLS": "false"}, f"TEMPORAL_TLS: false can't be, with {NAMES['name']}"),
        ({NAMES["ca"]: "<ca>", "TEMPORAL_TLS": "false"}, f"TEMPORAL_TLS: false can't be, with {NAMES['ca']}"),
        ({"TEMPORAL_API_KEY": "a-key\n"}, "TEMPORAL_API_KEY: there is a space or a line break"),
        ({NAMES["cert"]: "<cert>"}, f"{NAMES['key']}: is needed with {NAMES['cert']}"),
        ({NAMES["key"]: "<key>"}, f"{NAMES['cert']}: is needed with {NAMES['key']}"),
        ({NAMES["cert"]: "<cert>", NAMES["key"]: "<other key>"}, f"{NAMES['key']}: .* is not the key"),
        ({NAMES["cert"]: "<cert>", NAMES["key"]: "<encrypted key>"}, f"{NAMES['key']}: .* is not the key"),
        ({NAMES["cert"]: "<nowhere>", NAMES["key"]: "<key>"}, f"{NAMES['cert']}: /.*nowhere.pem can't be read"),
        ({NAMES["cert"]: "<cert>", NAMES["key"]: "<folder>"}, f"{NAMES['key']}: /.* can't be read"),
        ({NAMES["ca"]: "<nowhere>"}, f"{NAMES['ca']}: /.*nowhere.pem can't be read"),
        ({NAMES["ca"]: "<key>"}, f"{NAMES['ca']}: /.* holds no certificates"),
    ],
)
def test_what_temporal_cannot_be_asked_with_is_one_line_that_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str], given: dict[str, str], line: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, files.get(value, value))
    with pytest.raises(InvalidSetting, match=f"^{line}") as wrong:
        load(TemporalSettings)
    assert "\n" not in str(wrong.value)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"PGSSLMODE": "prefer"}, "PGSSLMODE: prefer goes on in plain text .*: set verify-full"),
        ({"PGSSLMODE": "allow"}, "PGSSLMODE: allow goes on in plain text .*: set verify-full"),
        ({"DATABASE_URL": "postgresql://h/d?sslmode=prefer"}, "PGSSLMODE: prefer goes on in plain text"),
        ({"PGSSLMODE": "yes"}, "PGSSLMODE: Input should be 'disable', 'require', 'verify-ca' or 'verify-full'"),
        ({"PGSSLROOTCERT": "<ca>"}, "PGSSLMODE: disable makes nothing of PGSSLROOTCERT"),
        ({"PGSSLCERT": "<cert>", "PGSSLKEY": "<key>"}, "PGSSLMODE: disable makes nothing of PGSSLCERT"),
        ({"PGSSLMODE": "verify-ca"}, "PGSSLROOTCERT: is needed with PGSSLMODE=verify-ca"),
        ({"PGSSLMODE": "require", "PGSSLROOTCERT": "system"}, "PGSSLMODE: require can't be, with PGSSLROOTCERT=system"),
        ({"PGSSLMODE": "verify-full", "PGSSLROOTCERT": "<nowhere>"}, "PGSSLROOTCERT: /.* can't be read"),
        ({"DATABASE_URL": "postgresql://h/d?sslmode=require&sslrootcert=/none"}, "PGSSLROOTCERT: /none can't be read"),
        ({"PGSSLMODE": "verify-full", "PGSSLROOTCERT": "<key>"}, "PGSSLROOTCERT: /.* holds no certificates"),
        ({"PGSSLMODE": "require", "PGSSLCERT": "<cert>"}, "PGSSLKEY: is needed with PGSSLCERT"),
        ({"PGSSLMODE": "require", "PGSSLKEY": "<key>"}, "PGSSLCERT: is needed with PGSSLKEY"),
        ({"PGSSLMODE": "require", "PGSSLCERT": "<cert>", "PGSSLKEY": "<other key>"}, "PGSSLKEY: /.* is not the key"),
    ],
)
def test_what_postgresql_cannot_be_asked_with_is_one_line_that_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str], given: dict[str, str], line: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, files.get(value, value))
    with pytest.raises(InvalidSetting, match=f"^{line}") as wrong:
        load(DatabaseSettings)
    assert "\n" not in str(wrong.value)


def test_what_a_url_says_of_encryption_counts_before_the_variables(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    monkeypatch.setenv("PGSSLMODE", "disable")
    monkeypatch.setenv("DATABASE_URL", f"postgresql://h/d?sslmode=verify-ca&sslrootcert={files['<ca>']}")
    settings = load(DatabaseSettings)
    assert (settings.ssl_mode, str(settings.ssl_root_cert)) == ("verify-ca", files["<ca>"])
