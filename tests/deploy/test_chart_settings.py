"""The chart and the settings fit: what it sets is known and can be used, and what is known can be set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orders.settings import (
    CONCERNS,
    ClientSettings,
    LambdaSettings,
    LifecycleSettings,
    SdkSettings,
    Settings,
    StackSettings,
    TelemetrySettings,
)
from tests.deploy.charts import CHART, FILES, Chart
from tests.deploy.documents import environment, pods
from tests.deploy.processes import READ, known, start

SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
FREE: dict[str, Any] = SCHEMA["definitions"]["settings"]["properties"]
"""What can be set under ``settings``."""
OF_OPENTELEMETRY = {"OTEL_RESOURCE_ATTRIBUTES"}
"""Read by OpenTelemetry's SDK itself."""
NOT_OF_THE_CHART: dict[type[Settings], str] = {
    LambdaSettings: "the API as a function of AWS Lambda, which is no pod",
    StackSettings: "the stack of `orders up`, which is no cluster's",
    ClientSettings: "the command line, of which the chart's test sets what it needs",
}
NOT_BY_A_VALUE = {
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "a secret: extraEnv takes it from one",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "a secret, likewise",
}


@pytest.mark.parametrize("file", FILES)
def test_the_chart_sets_no_variable_that_no_setting_knows(chart: Chart, file: str) -> None:
    given = {name for pod in pods(chart.render(file=file)) for each in pod.containers for name in environment(each)}
    assert given - known() - OF_OPENTELEMETRY == set()


@pytest.mark.parametrize("file", FILES)
def test_every_process_would_start(chart: Chart, tmp_path: Path, file: str) -> None:
    started = set()
    for pod in pods(chart.render(file=file)):
        for container in pod.containers:
            start(pod, container, tmp_path / container["name"])
            started.add(container["name"])
    assert started >= {"api", "worker"}


def test_every_variable_that_is_known_can_be_set_by_the_chart(chart: Chart) -> None:
    every: list[type[Settings]] = [*CONCERNS, SdkSettings]
    concerns = [each for each in every if each not in NOT_OF_THE_CHART]
    containers = [each for file in FILES for pod in pods(chart.render(file=file)) for each in pod.containers]
    by_values = {name for each in containers for name in environment(each)}
    assert known(concerns) - set(FREE) - by_values == set(NOT_BY_A_VALUE)


def test_a_variable_has_one_place_in_the_values_only(chart: Chart) -> None:
    by_values = {name for pod in pods(chart.render()) for each in pod.containers for name in environment(each)}
    assert by_values & set(FREE) == set()


def _sample(described: dict[str, Any]) -> Any:
    """Give a value that the schema allows."""
    if "const" in described:
        return described["const"]
    if "enum" in described:
        return described["enum"][-1]
    if described["type"] == "string":
        return "http://example.com"
    return described["type"] == "boolean" or max(described.get("minimum", 0), 1)


@pytest.mark.parametrize(("scope", "container"), [("api", "api"), ("workerDefaults", "worker")])
def test_every_free_variable_reaches_the_process_that_reads_it(chart: Chart, scope: str, container: str) -> None:
    mine = [name for name in FREE if name in known(READ[container])]
    rendered = chart.render({f"{scope}.settings": {name: _sample(FREE[name]) for name in mine}})
    found = [environment(each) for pod in pods(rendered) for each in pod.containers if each["name"] == container]
    assert found
    assert [name for each in found for name in mine if name not in each] == []


def test_numbers_texts_and_truths_are_given_as_they_are_written(chart: Chart, tmp_path: Path) -> None:
    values = {
        "ORDER_MAX_TOTAL": 10_000_000,
        "REVIEW_THRESHOLD": 123_456_789_012,
        "PARTNER_RETRY_AFTER": 0.5,
        "DELIVERY_TIMEOUT": "P14D",
        "DATABASE_SQL_COMMENTS": True,
        "OTEL_TRACES_SAMPLER": "traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": 0.000001,
    }
    (pod,) = (pod for pod in pods(chart.render({"settings": values})) if pod.component == "api")
    given = environment(pod.containers[0])
    assert (given["ORDER_MAX_TOTAL"], given["REVIEW_THRESHOLD"]) == ("10000000", "123456789012")
    loaded = start(pod, pod.containers[0], tmp_path)
    assert loaded[LifecycleSettings] == LifecycleSettings(
        ORDER_MAX_TOTAL=10_000_000, REVIEW_THRESHOLD=123_456_789_012, PARTNER_RETRY_AFTER="0.5", DELIVERY_TIMEOUT="P14D"
    )
    telemetry = loaded[TelemetrySettings]
    assert isinstance(telemetry, TelemetrySettings)
    assert (telemetry.sampler_argument, telemetry.sql_comments) == (0.000001, True)


def test_what_is_set_for_one_wins_over_what_is_set_for_its_kind_and_that_over_what_is_set_for_all(chart: Chart) -> None:
    rendered = chart.render(
        {
            "settings": {"LOG_LEVEL": "ERROR", "DATABASE_POOL_SIZE": 1},
            "api.settings": {"DATABASE_POOL_SIZE": 2},
            "workerDefaults.settings": {"DATABASE_POOL_SIZE": 3},
            "workers.payments.settings": {"DATABASE_POOL_SIZE": 4},
        }
    )
    given = {pod.owner["metadata"]["name"].rpartition("-")[2]: environment(pod.containers[0]) for pod in pods(rendered)}
    assert {name: each.get("DATABASE_POOL_SIZE") for name, each in given.items() if name != "test"} == {
        "api": "2",
        "orders": "3",
        "payments": "4",
        "shipping": "3",
        "migrations": None,
    }
    assert {each.get("LOG_LEVEL") for name, each in given.items() if name != "test"} == {"ERROR"}


def test_a_variable_of_somebody_s_own_takes_its_value_from_where_they_say(chart: Chart) -> None:
    headers = {
        "name": "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        "valueFrom": {"secretKeyRef": {"name": "traces", "key": "h"}},
    }
    rendered = chart.render({"api.extraEnv": [headers], "workerDefaults.extraEnv": [headers]})
    found = [each["env"][-1] for pod in pods(rendered) if pod.component in ("api", "worker") for each in pod.containers]
    assert found == [headers] * 4
