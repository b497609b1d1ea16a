"""What AWS is asked for, and what is made of its answers."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from botocore.session import get_session

from cli.embedded import free_port
from orders.aws import database_token, secret_of
from orders.errors import DependencyUnavailable, InvalidSetting
from tests.logged import logged
from tests.secrets_manager import ARN, SecretsManager, forget_clients


@pytest.fixture
def anew() -> Iterator[None]:
    """What is known of AWS is that of another environment."""
    forget_clients()
    yield
    forget_clients()


def test_a_secret_is_its_values_by_their_names(secrets_manager: SecretsManager) -> None:
    secrets_manager.put(TEMPORAL_API_KEY="a key", port=5432, AUTH_NONE=True)
    assert secret_of(ARN) == {"TEMPORAL_API_KEY": "a key", "port": "5432", "AUTH_NONE": "true"}


def test_a_secret_is_asked_for_where_it_is(monkeypatch: pytest.MonkeyPatch, secrets_manager: SecretsManager) -> None:
    monkeypatch.delenv("AWS_REGION")
    secrets_manager.put(password="p")
    assert secret_of(ARN) == {"password": "p"}


@pytest.mark.parametrize(
    ("refusal", "advice"),
    [
        ("AccessDeniedException", "secretsmanager:GetSecretValue on it, and kms:Decrypt"),
        ("DecryptionFailure", "kms:Decrypt on the secret's key"),
        ("UnrecognizedClientException", "see the process's role"),
        ("SomethingNewException", "it is asked again later"),
    ],
)
def test_a_refusal_says_what_to_look_at_and_nothing_of_who_asks(
    secrets_manager: SecretsManager, refusal: str, advice: str
) -> None:
    secrets_manager.refusals = [refusal]
    with pytest.raises(
        DependencyUnavailable, match=f"Secrets Manager is unavailable: {refusal}: .*{advice}"
    ) as refused:
        secret_of(ARN)
    assert "123456789012" not in str(refused.value)


def test_a_secret_that_is_not_there_names_the_setting(secrets_manager: SecretsManager) -> None:
    with pytest.raises(InvalidSetting, match=f"^DATABASE_SECRET_ARN: {ARN}: there is no such secret in eu-central-1$"):
        secret_of(ARN, "DATABASE_SECRET_ARN")


@pytest.mark.parametrize("text", ["hunter2", '["hunter2"]', '{"password": "hunter2"'])
def test_a_secret_of_another_form_names_the_setting_and_is_not_quoted(
    secrets_manager: SecretsManager, text: str
) -> None:
    secrets_manager.secrets[ARN] = text
    with pytest.raises(InvalidSetting, match=r"^SETTINGS_SECRET_ARN: .* is not a JSON object$") as wrong:
        secret_of(ARN)
    assert "hunter2" not in f"{wrong.value} {wrong.value.__cause__} {wrong.value.args}"


def test_a_secret_is_asked_for_once_more_where_that_may_help(
    monkeypatch: pytest.MonkeyPatch, secrets_manager: SecretsManager
) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    secrets_manager.put(password="p")
    secrets_manager.refusals = ["ThrottlingException"]
    assert secret_of(ARN) == {"password": "p"}
    secrets_manager.refusals = ["ThrottlingException"] * 2
    with pytest.raises(DependencyUnavailable, match="ThrottlingException: it is asked again later"):
        secret_of(ARN)
    assert len(secrets_manager.asked) == 4


def test_an_answer_is_not_waited_for_longer_than_there_is_time(
    monkeypatch: pytest.MonkeyPatch, secrets_manager: SecretsManager
) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    secrets_manager.put(password="p")
    # To make what asks takes its time, too.
    secret_of(ARN, patience=timedelta(seconds=1.4))
    secrets_manager.takes, began = 3, time.monotonic()
    with pytest.raises(DependencyUnavailable, match=r"no answer \(ReadTimeoutError\): see the VPC's endpoint"):
        secret_of(ARN, patience=timedelta(seconds=1.4))
    assert time.monotonic() - began < 2
    assert len(secrets_manager.asked) == 3


@pytest.mark.usefixtures("secrets_manager", "anew")
def test_a_service_that_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(DependencyUnavailable, match=r"Secrets Manager is unavailable: no answer"):
        secret_of(ARN)


@pytest.mark.usefixtures("secrets_manager", "anew")
def test_a_process_without_a_role_is_told_that_it_needs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"):
        monkeypatch.delenv(f"AWS_{name}")
    for ask in (lambda: secret_of(ARN), lambda: database_token("h", 5432, "ann")):
        with pytest.raises(DependencyUnavailable, match="the process has no credentials: give it a role"):
            ask()


def test_without_a_region_nobody_is_asked(secrets_manager: SecretsManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    for ask in (lambda: secret_of("a-name"), lambda: database_token("h", 5432, "ann")):
        with pytest.raises(InvalidSetting, match=r"^AWS_REGION: "):
            ask()
    assert secrets_manager.asked == []


@pytest.mark.usefixtures("secrets_manager")
def test_a_token_is_the_one_that_botocore_would_make_of_it() -> None:
    rds = get_session().create_client("rds", region_name=os.environ["AWS_REGION"])
    for _ in range(2):
        # They name the second in which they are made.
        mine, theirs = (
            database_token("db.example", 6432, "ann@shop"),
            rds.generate_db_auth_token("db.example", 6432, "ann@shop"),
        )
        if mine == theirs:
            return
    pytest.fail(f"{mine} is not {theirs}")


@pytest.mark.usefixtures("anew")
def test_the_log_has_no_secret_whatever_its_level(secrets_manager: SecretsManager) -> None:
    secrets_manager.put(password="hunter2")
    with logged(logging.DEBUG) as log:
        secret_of(ARN)
        database_token("h", 5432, "ann")
    assert log.of("urllib3.connectionpool")
    assert not [each for each in ("hunter2", "X-Amz", "a session") if each in log.getvalue()]
