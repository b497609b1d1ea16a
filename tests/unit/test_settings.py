"""A setting is read from the environment, and a wrong one is one line that names it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cli.settings_table import DOCUMENT, EXAMPLE, ROOT, document, example
from orders.errors import InvalidSetting
from orders.settings import (
    CONCERNS,
    ApiSettings,
    ClientSettings,
    DatabaseSettings,
    LifecycleSettings,
    LogSettings,
    PartnerSettings,
    Settings,
    TemporalSettings,
    load,
)


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
        (TemporalSettings, "TEMPORAL_ADDRESS", "http://localhost:7233"),
        (ApiSettings, "API_PORT", "70000"),
        (PartnerSettings, "PAYMENT_LATENCY", "10"),
        (LogSettings, "LOG_LEVEL", "loud"),
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


def test_an_empty_value_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_PORT", "")
    assert load(ApiSettings).port == 8000


def test_a_password_in_a_url_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ann:hunter2@db/orders")
    assert "hunter2" not in repr(load(DatabaseSettings))


def test_no_two_settings_share_a_variable() -> None:
    names = [field.alias for concern in CONCERNS for field in concern.model_fields.values()]
    assert len(names) == len(set(names))


def test_the_documented_settings_are_those_of_the_classes() -> None:
    assert (ROOT / DOCUMENT).read_text() == document(), "run `make docs`"
    assert (ROOT / EXAMPLE).read_text() == example(), "run `make docs`"
