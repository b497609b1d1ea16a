"""A setting is read from the environment, and a wrong one is one line that names it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cli.settings_table import DOCUMENT, EXAMPLE, ROOT, document, example
from orders.errors import InvalidSetting
from orders.policy import Policy
from orders.settings import (
    CONCERNS,
    ApiSettings,
    AuthSettings,
    ClientSettings,
    DatabaseSettings,
    LambdaSettings,
    LifecycleSettings,
    LogSettings,
    PartnerSettings,
    Settings,
    TemporalSettings,
    WebhookSettings,
    WorkerSettings,
    load,
)

TOKENS = {
    "AUTH_MODE": "jwt",
    "AUTH_ISSUER": "https://issuer.example/",
    "AUTH_AUDIENCE": "orders-api, other-api",
    "AUTH_JWKS_URL": "https://issuer.example/keys",
}


@pytest.mark.parametrize(
    ("written", "seconds"), [("3", 3), ("0.5", 0.5), ("0", 0), ("PT2M", 120), ("P1D", 86400), ("00:01:00", 60)]
)
def test_a_time_is_read_as_seconds_or_as_iso_8601(
    monkeypatch: pytest.MonkeyPatch, written: str, seconds: float
) -> None:
    monkeypatch.setenv("REVIEW_TIMEOUT", written)
    assert load(LifecycleSettings).review_timeout == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("concern", "name", "value"),
    [
        (LifecycleSettings, "REVIEW_TIMEOUT", "soon"),
        (LifecycleSettings, "REVIEW_TIMEOUT", "-1"),
        (LifecycleSettings, "REVIEW_TIMEOUT", "nan"),
        (LifecycleSettings, "PAYMENT_TIMEOUT", "0"),
        (LifecycleSettings, "ORDER_MAX_TOTAL", "1.5"),
        (DatabaseSettings, "DATABASE_POOL_SIZE", "0"),
        (DatabaseSettings, "DATABASE_POOL", "some"),
        (LambdaSettings, "LAMBDA_BASE_PATH", "shop"),
        (LambdaSettings, "LAMBDA_BASE_PATH", "/shop/"),
        (LambdaSettings, "LAMBDA_BASE_PATH", "/a b?"),
        (DatabaseSettings, "DATABASE_MAX_IDLE", "0"),
        (DatabaseSettings, "DATABASE_POOLER", "session"),
        (DatabaseSettings, "DATABASE_AUTH", "kerberos"),
        (TemporalSettings, "TEMPORAL_ADDRESS", "http://localhost:7233"),
        (ApiSettings, "API_PORT", "70000"),
        (ApiSettings, "CODEC_ORIGINS", "https://temporal.example.com/namespaces"),
        (ApiSettings, "CODEC_ORIGINS", "*"),
        (ApiSettings, "API_CURSOR_SECRET", "short"),
        (PartnerSettings, "PAYMENT_LATENCY", "10"),
        (LifecycleSettings, "REVIEW_MODE", "sometimes"),
        (LifecycleSettings, "REVIEW_THRESHOLD", "-1"),
        (LifecycleSettings, "PAYMENT_CAPTURE", "never"),
        (LifecycleSettings, "DISPATCH_ATTEMPTS", "0"),
        (LifecycleSettings, "STUCK_AFTER", "1"),
        (LifecycleSettings, "PARTNER_RETRY_AT_MOST_AFTER", "0.1"),
        (PartnerSettings, "PAYMENT_PROVIDER", "cash"),
        (PartnerSettings, "FAULTS_ERROR_RATE", "1"),
        (PartnerSettings, "FAULTS_ERROR_RATE", "-0.1"),
        (PartnerSettings, "FAULTS_STEPS", "authorize,dance"),
        (WebhookSettings, "CARRIER_WEBHOOK_SECRETS", "short"),
        (AuthSettings, "AUTH_MODE", "maybe"),
        (AuthSettings, "AUTH_JWKS_URL", "http://issuer.example/keys"),
        (AuthSettings, "AUTH_JWKS_URL", "file:///etc/keys"),
        (AuthSettings, "AUTH_JWKS_URL", "https:///keys"),
        (AuthSettings, "AUTH_JWKS_URL", "http://127.0.0.1.issuer.example/keys"),
        (AuthSettings, "AUTH_JWKS_URL", "http://127.0.0.1@issuer.example/keys"),
        (AuthSettings, "AUTH_CLOCK_SKEW", "301"),
        (AuthSettings, "AUTH_JWKS_REFRESH", "0"),
        (AuthSettings, "AUTH_NONE_I_MEAN_IT", "perhaps"),
        (LogSettings, "LOG_LEVEL", "loud"),
        (LogSettings, "LOG_FORMAT", "xml"),
        (ClientSettings, "ORDERS_URL", "localhost:8000"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, concern: type[Settings], name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSetting) as wrong:
        load(concern)
    assert str(wrong.value).startswith(f"{name}: ")
    assert "\n" not in str(wrong.value)


@pytest.mark.parametrize(
    ("concern", "given", "name"),
    [
        (LifecycleSettings, {"REVIEW_MODE": "required", "REVIEW_TIMEOUT": "0"}, "REVIEW_TIMEOUT"),
        (LambdaSettings, {"LAMBDA_FLUSH_TIMEOUT": "15"}, "LAMBDA_FLUSH_TIMEOUT"),
        (DatabaseSettings, {"DATABASE_AUTH": "iam"}, "PGSSLMODE"),
        (DatabaseSettings, {"DATABASE_AUTH": "iam", "DATABASE_URL": "postgresql://h/d?sslmode=disable"}, "PGSSLMODE"),
        (DatabaseSettings, {"DATABASE_AUTH": "secret"}, "DATABASE_SECRET_ARN"),
        (DatabaseSettings, {"DATABASE_SECRET_ARN": "orders"}, "DATABASE_AUTH"),
        (PartnerSettings, {"PAYMENT_PROVIDER": "stripe"}, "STRIPE_API_KEY"),
        (
            PartnerSettings,
            {"PAYMENT_PROVIDER": "stripe", "STRIPE_API_KEY": "sk_test_x", "FAULTS_HANG_RATE": "0.1"},
            "FAULTS_HANG_RATE",
        ),
        (PartnerSettings, {"FAULTS_ERROR_RATE": "0.5", "FAULTS_HANG_RATE": "0.5"}, "FAULTS_ERROR_RATE"),
        (AuthSettings, TOKENS | {"AUTH_ISSUER": ""}, "AUTH_ISSUER"),
        (AuthSettings, TOKENS | {"AUTH_AUDIENCE": " , "}, "AUTH_AUDIENCE"),
        (AuthSettings, TOKENS | {"AUTH_JWKS_URL": ""}, "AUTH_JWKS_URL"),
    ],
)
def test_values_that_do_not_go_together_are_one_line_that_names_the_one_to_change(
    monkeypatch: pytest.MonkeyPatch, concern: type[Settings], given: dict[str, str], name: str
) -> None:
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidSetting, match=f"^{name}: ") as wrong:
        load(concern)
    assert "\n" not in str(wrong.value)


@pytest.mark.parametrize(
    ("mode", "given", "lasts"),
    [("timer", None, 3), ("timer", "7", 7), ("required", None, 3 * 86400), ("required", "7", 7)],
)
def test_a_review_lasts_as_long_as_its_mode_says_unless_it_is_said_otherwise(
    monkeypatch: pytest.MonkeyPatch, mode: str, given: str | None, lasts: int
) -> None:
    monkeypatch.setenv("REVIEW_MODE", mode)
    if given:
        monkeypatch.setenv("REVIEW_TIMEOUT", given)
    assert load(LifecycleSettings).policy().review_timeout == timedelta(seconds=lasts)


def test_the_rules_of_the_settings_are_the_rules_of_the_orders() -> None:
    assert load(LifecycleSettings).policy() == Policy()


def test_lists_are_written_with_commas_and_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTS_STEPS", "authorize, dispatch")
    monkeypatch.setenv("CARRIER_WEBHOOK_SECRETS", "a secret of the carrier,another secret of it")
    assert load(PartnerSettings).faults_steps == ("authorize", "dispatch")
    webhooks = load(WebhookSettings)
    assert [len(secret.get_secret_value()) for secret in webhooks.carrier_secrets] == [23, 20]
    assert "secret of" not in repr(webhooks)


@pytest.mark.parametrize("url", ["https://issuer.example/keys", "http://localhost:1/keys", "http://[::1]:1/keys"])
def test_tokens_have_an_issuer_audiences_and_keys(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for variable, value in (TOKENS | {"AUTH_JWKS_URL": url}).items():
        monkeypatch.setenv(variable, value)
    auth = load(AuthSettings)
    assert (auth.issuer, auth.audience, auth.jwks_url) == (
        "https://issuer.example/",
        ("orders-api", "other-api"),
        url,
    )
    assert auth.for_api_at("0.0.0.0") is auth


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_nobody_needs_a_token_where_only_this_machine_can_ask(host: str) -> None:
    assert load(AuthSettings).for_api_at(host).mode == "none"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "localhost.example", "", None])
def test_nobody_needs_a_token_elsewhere_only_when_that_is_said_twice(host: str | None) -> None:
    with pytest.raises(InvalidSetting, match=r"^AUTH_MODE: .*AUTH_NONE_I_MEAN_IT=true"):
        load(AuthSettings).for_api_at(host)
    assert load(AuthSettings, AUTH_NONE_I_MEAN_IT="true").for_api_at(host).mode == "none"


def test_an_empty_value_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_PORT", "")
    assert load(ApiSettings).port == 8000


def test_a_password_in_a_url_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ann:hunter2@db/orders")
    assert "hunter2" not in repr(load(DatabaseSettings))


@pytest.mark.parametrize(
    ("names", "values"),
    [
        (("WORKER_DEPLOYMENT_NAME", "WORKER_BUILD_ID"), ("orders", "v1")),
        (("TEMPORAL_DEPLOYMENT_NAME", "TEMPORAL_WORKER_BUILD_ID"), ("shop/orders", "v1.2-abc")),
    ],
)
def test_workers_have_a_version_under_our_names_and_those_of_temporal_s_controller(
    monkeypatch: pytest.MonkeyPatch, names: tuple[str, str], values: tuple[str, str]
) -> None:
    assert load(WorkerSettings).deployment_name is None
    for name, value in zip(names, values, strict=True):
        monkeypatch.setenv(name, value)
    worker = load(WorkerSettings)
    assert (worker.deployment_name, worker.build_id) == values


def test_of_the_two_names_of_a_version_ours_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORKER_BUILD_ID", "TEMPORAL_WORKER_BUILD_ID", "TEMPORAL_DEPLOYMENT_NAME"):
        monkeypatch.setenv(name, name)
    assert load(WorkerSettings).build_id == "WORKER_BUILD_ID"


@pytest.mark.parametrize(
    ("given", "lacking"),
    [
        ("WORKER_DEPLOYMENT_NAME", "WORKER_BUILD_ID"),
        ("WORKER_BUILD_ID", "WORKER_DEPLOYMENT_NAME"),
        ("TEMPORAL_WORKER_BUILD_ID", "WORKER_DEPLOYMENT_NAME"),
    ],
)
def test_a_version_has_a_name_and_a_build(monkeypatch: pytest.MonkeyPatch, given: str, lacking: str) -> None:
    monkeypatch.setenv(given, "v1")
    with pytest.raises(InvalidSetting, match=f"^{lacking}: is needed with WORKER_"):
        load(WorkerSettings)


def test_no_two_settings_share_a_variable() -> None:
    names = [field.alias for concern in CONCERNS for field in concern.model_fields.values()]
    assert len(names) == len(set(names))


def test_the_documented_settings_are_those_of_the_classes() -> None:
    assert (ROOT / DOCUMENT).read_text() == document(), "run `make docs`"
    assert (ROOT / EXAMPLE).read_text() == example(), "run `make docs`"
