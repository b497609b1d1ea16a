"""The values: whatever is misspelt, or of the wrong kind, is refused at every level."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft7Validator

from tests.deploy.charts import CHART, Chart, Values
from tests.deploy.documents import pods
from tests.deploy.given import DEFAULTS

SCHEMA = Draft7Validator(json.loads((CHART / "values.schema.json").read_text()))
FREE = frozenset(
    {
        *("commonLabels", "commonAnnotations", "annotations", "podAnnotations", "podLabels", "labels"),
        *("nodeSelector", "affinity", "behavior", "requests", "limits", "matchLabels"),
    }
)
"""Objects whose keys are not the chart's to name."""
MISSPELT = "misspelt!"
VERSIONS: Values = {"workerVersioning.mode": "env"}


def objects(values: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Give the paths of all objects whose keys the chart knows."""
    if isinstance(values, dict) and not FREE & set(path):
        yield path
        for key, value in values.items():
            yield from objects(value, (*path, key))


def changed(path: tuple[str, ...], key: str, value: Any) -> dict[str, Any]:
    values = copy.deepcopy(DEFAULTS)
    place = values
    for part in path:
        place = place[part]
    place[key] = value
    return values


def test_the_values_keep_to_their_own_schema() -> None:
    assert list(SCHEMA.iter_errors(DEFAULTS)) == []


@pytest.mark.parametrize("path", list(objects(DEFAULTS)), ids=lambda path: ".".join(path) or "values")
def test_a_misspelt_key_is_refused_in(path: tuple[str, ...]) -> None:
    assert [error.validator for error in SCHEMA.iter_errors(changed(path, MISSPELT, {}))] != []


def test_each_worker_is_held_to_the_same_keys_as_the_defaults_of_all() -> None:
    for path in objects(DEFAULTS["workerDefaults"]):
        part: dict[str, Any] = {MISSPELT: 1}
        for key in reversed(path):
            part = {key: part}
        assert list(SCHEMA.iter_errors(changed(("workers",), "orders", part))), path


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replicaCount": 3}, "replicaCount"),
        ({"api.replica": 3}, "replica"),
        ({"workers.orders.replica": 3}, "replica"),
        ({"settings.LOGLEVEL": "DEBUG"}, "LOGLEVEL"),
        ({"settings.LOG_LEVEL": "LOUD"}, "LOG_LEVEL"),
        ({"workers.orders.settings.API_TIMEOUT": 3}, "API_TIMEOUT"),
        ({"workers.orders.autoscaling": {"type": "keda", "minReplicas": 0}}, "minReplicas"),
        ({"migrations.mode": "later"}, "mode"),
        ({"image.tag": 1.10}, "tag"),
        ({"settings.DATABASE_URL": "postgresql://u:p@h/d"}, "DATABASE_URL"),
        ({"api.extraEnv": [{"name": "LOG_LEVEL", "value": "DEBUG"}]}, "extraEnv"),
        ({"workers.orders.extraEnv": [{"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {}}}]}, "extraEnv"),
        ({"api.extraEnv": [{"name": "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "value": "key=secret"}]}, "valueFrom"),
        ({"commonLabels": {"app.kubernetes.io/name": "mine"}}, "commonLabels"),
        ({"api.podLabels": {"app.kubernetes.io/component": "mine"}}, "podLabels"),
        ({"workerDefaults.podLabels": {"order-lifecycle/build-id": "mine"}}, "podLabels"),
        ({"migrations.podLabels": {"app.kubernetes.io/instance": "mine"}}, "podLabels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_helm_refuses_and_names_what_is_wrong(chart: Chart, values: Values, said: str) -> None:
    refusal = chart.refusal(values)
    assert "schema" in refusal
    assert said in refusal


def test_no_label_that_the_chart_sets_can_be_set_otherwise(chart: Chart) -> None:
    labels = {key for each in chart.render() for key in each["metadata"]["labels"]}
    labels |= {key for pod in pods(chart.render(VERSIONS)) for key in pod.labels}
    assert len(labels) > 7
    for label in labels:
        for path in (
            ("commonLabels",),
            ("api", "podLabels"),
            ("workerDefaults", "podLabels"),
            ("monitoring", "labels"),
        ):
            assert list(SCHEMA.iter_errors(changed(path, label, "mine"))), (path, label)


def test_a_label_of_one_s_own_can_be_set() -> None:
    assert list(SCHEMA.iter_errors(changed(("api", "podLabels"), "app.kubernetes.io/tier", "front"))) == []


def test_the_values_can_be_read_in_one_go() -> None:
    assert len((CHART / "values.yaml").read_text().splitlines()) < 400


def test_an_older_helm_refuses_alike(older_helm: str) -> None:
    assert "replica" in Chart(older_helm).refusal({"workers.orders.replica": 3})


def test_no_value_is_a_secret() -> None:
    text = json.dumps(DEFAULTS).lower()
    assert [word for word in ("password", "whsec", "sk_live", "sk_test", "bearer ") if word in text] == []
