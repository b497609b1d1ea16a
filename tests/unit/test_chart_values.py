"""What the chart says of its values is made from them, and from the settings."""

from __future__ import annotations

import json
import re

import pytest

from cli.chart_values import (
    CHART,
    DURATION,
    OWN,
    PAGE,
    ROOT,
    SCHEMA,
    UNNAMED_SECRETS,
    VALUES,
    page,
    schema,
    table,
)
from orders.contracts import TASKS
from orders.settings import ApiSettings, WorkerSettings

DEFINITIONS = json.loads((ROOT / SCHEMA).read_text())["definitions"]
SETTINGS = DEFINITIONS["settings"]["properties"]


def _template(name: str) -> str:
    return (ROOT / CHART / "templates" / name).read_text()


def test_the_page_lists_the_values_as_they_are() -> None:
    text = (ROOT / PAGE).read_text()
    assert text == page(text, (ROOT / VALUES).read_text()), "run `make docs`"
    assert "| `api.replicas` | `2` |" in text


def test_the_schema_has_the_settings_as_they_are() -> None:
    text = (ROOT / SCHEMA).read_text()
    assert text == schema(text), "run `make docs`"


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ("a:\n  b: 1\n", "line 2: a.b has no comment"),
        ("# -- One.\na: 1\nb: 2\n", "line 3: b has no comment"),
        ("# -- Many.\na:\n  - 1\n", "line 3: write a value on one line"),
    ],
)
def test_a_value_that_says_nothing_of_itself_is_found(values: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        table(values)


def test_the_schema_knows_the_type_the_limits_and_the_choices_of_a_setting() -> None:
    assert SETTINGS["REVIEW_MODE"]["enum"] == ["timer", "required", "off"]
    assert SETTINGS["DISPATCH_ATTEMPTS"] | {"description": ""} == {
        "description": "",
        "type": "integer",
        "minimum": 1,
        "maximum": 20,
    }
    assert SETTINGS["OTEL_TRACES_SAMPLER_ARG"]["type"] == ["number", "string"]
    assert SETTINGS["API_CORS_ORIGINS"]["type"] == "string"
    assert SETTINGS["LOG_LEVEL"]["description"] == "least level that is logged"


@pytest.mark.parametrize(
    "secret", ["DATABASE_URL", "STRIPE_API_KEY", "CARRIER_WEBHOOK_SECRETS", "API_CURSOR_SECRET", "ENCRYPTION_KEYS"]
)
def test_no_secret_can_be_written_into_the_values(secret: str) -> None:
    assert secret not in SETTINGS


def test_what_has_a_value_of_its_own_is_not_for_extra_variables() -> None:
    refused = set(DEFINITIONS["variable"]["properties"]["name"]["not"]["enum"])
    assert refused >= {*SETTINGS, *OWN, "DATABASE_URL", "TEMPORAL_API_KEY", "OTEL_EXPORTER_OTLP_HEADERS"}
    assert not refused & {*UNNAMED_SECRETS, "OTEL_RESOURCE_ATTRIBUTES", "TZ"}


def test_a_process_takes_only_what_it_reads() -> None:
    assert "ORDER_MAX_TOTAL" in DEFINITIONS["apiSettings"]["properties"]
    assert "ORDER_MAX_TOTAL" not in DEFINITIONS["workerSettings"]["properties"]
    assert "WORKER_GRACEFUL_SHUTDOWN" not in DEFINITIONS["apiSettings"]["properties"]


@pytest.mark.parametrize("time", ["30", "0.5", "PT1M30S", "P3D", "P1DT2H", "00:01:30"])
def test_a_time_may_be_written_as_in_the_environment(time: str) -> None:
    assert re.search(DURATION, time)


@pytest.mark.parametrize("time", ["30s", "-1", "P1W", "soon", ""])
def test_a_time_that_the_templates_could_not_compare_is_refused(time: str) -> None:
    assert not re.search(DURATION, time)


def test_the_templates_assume_the_defaults_of_the_settings() -> None:
    assumed = dict(re.findall(r'"name" "(\w+)" "default" (\d+)', _template("_guards.tpl")))
    assert {name: float(value) for name, value in assumed.items()} == {
        "API_TIMEOUT": ApiSettings.model_fields["timeout"].default.total_seconds(),
        "WORKER_GRACEFUL_SHUTDOWN": WorkerSettings.model_fields["graceful_shutdown"].default.total_seconds(),
    }


def test_the_templates_know_the_tasks_of_every_queue() -> None:
    found = re.search(r"\$known := dict (.*) -}}", _template("_workers.tpl"))
    assert found
    known = re.findall(r'"([^"]+)"', found[1])
    assert dict(zip(known[::2], known[1::2], strict=True)) == {queue: ",".join(kinds) for queue, kinds in TASKS.items()}
