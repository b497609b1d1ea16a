"""What PostgreSQL's refusals mean to the shop."""

from __future__ import annotations

import pytest
from pg8000.exceptions import DatabaseError
from sqlalchemy.exc import DBAPIError

from orders.errors import DependencyUnavailable, InvalidSetting
from orders.ledger.engine import Database, engine_of
from orders.settings import DatabaseSettings, load


def failing_with(state: str, monkeypatch: pytest.MonkeyPatch, said: str = "what the server says") -> Database:
    """A database that answers every statement with this SQLSTATE."""
    database = Database(load(DatabaseSettings, DATABASE_URL="postgresql://h/d"))
    answer = DBAPIError("select", None, DatabaseError({"C": state, "M": said}))

    def fail(*_: object) -> None:
        raise answer

    monkeypatch.setattr(database, "_run", fail)
    return database


@pytest.mark.parametrize(
    "state", ["08006", "25P03", "28P01", "28000", "3D000", "53300", "55P03", "57014", "57P01", "57P03"]
)
def test_a_server_that_cannot_answer_now_is_unavailable_for_the_reason_that_it_gives(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DependencyUnavailable, match="PostgreSQL is unavailable: what the server says"):
        failing_with(state, monkeypatch).ping()


@pytest.mark.parametrize("state", ["23505", "42P01", "22021", "23514"])
def test_an_error_of_ours_is_not_blamed_on_the_server(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DBAPIError):
        failing_with(state, monkeypatch).ping()


@pytest.mark.parametrize(
    ("said", "setting"),
    [
        ('no pg_hba.conf entry for host "10.0.0.1", user "ann", database "orders", no encryption', "PGSSLMODE"),
        ("connection requires a valid client certificate", "PGSSLCERT"),
    ],
)
def test_a_server_that_wants_more_encryption_is_unavailable_until_a_setting_is_changed(
    said: str, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DependencyUnavailable, match=f"{said}: see {setting}$"):
        failing_with("28000", monkeypatch, said).ping()


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("08P01", "unsupported startup parameter: statement_timeout"),
        ("08P01", "unsupported startup parameter: lock_timeout"),
        ("08P01", "unsupported startup parameter: idle_in_transaction_session_timeout"),
        ("0A000", "Feature not supported: RDS Proxy currently doesn't support the option statement_timeout."),
    ],
)
def test_a_pooler_that_refuses_a_session_of_its_own_is_unavailable_until_a_setting_is_changed(
    state: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DependencyUnavailable, match=f"{said}: see DATABASE_POOLER$"):
        failing_with(state, monkeypatch, said).ping()


def test_a_process_that_has_no_name_has_to_be_given_one_unless_a_secret_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 993")

    monkeypatch.setattr("getpass.getuser", nobody)
    with pytest.raises(InvalidSetting, match=r"^DATABASE_URL: names no user"):
        engine_of(load(DatabaseSettings, DATABASE_URL="postgresql://h/d"))
    engine_of(
        load(DatabaseSettings, DATABASE_URL="postgresql://h/d", DATABASE_AUTH="secret", DATABASE_SECRET_ARN="orders")
    ).dispose()
