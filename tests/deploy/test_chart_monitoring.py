"""Monitoring: the files of alerts and dashboard arrive as they are, and metrics are fetched as the alerts expect."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.deploy.charts import CHART, Chart
from tests.deploy.documents import environment, name_of, of_kind, one, pods
from tests.promtool import ALERTS

ON = {f"monitoring.{each}.enabled": True for each in ("podMonitor", "serviceMonitor", "rules", "dashboard")}
MONITORS = ("PodMonitor", "ServiceMonitor")


def test_nothing_is_made_for_an_operator_that_may_not_be_there(chart: Chart) -> None:
    kinds = {each["kind"] for each in chart.render()}
    assert not kinds & {*MONITORS, "PrometheusRule", "ConfigMap"}


def test_the_rules_arrive_as_they_are(chart: Chart) -> None:
    assert one(chart.render(ON), "PrometheusRule")["spec"] == yaml.safe_load(ALERTS.read_text())
    # What Prometheus fills in, Helm is not to.
    assert "{{ $labels" in json.dumps(one(chart.render(ON), "PrometheusRule")["spec"])


def test_the_dashboard_arrives_byte_for_byte(chart: Chart) -> None:
    data = one(chart.render(ON), "ConfigMap", "dashboard")["data"]
    (text,) = data.values()
    assert text.strip() == (CHART / "files" / "dashboard.json").read_text().strip()


def test_grafana_finds_the_dashboard_by_a_label(chart: Chart) -> None:
    found = one(chart.render({**ON, "monitoring.dashboard.labels": {"grafana": "yes"}}), "ConfigMap")
    assert found["metadata"]["labels"]["grafana"] == "yes"


def test_metrics_are_fetched_of_every_worker_as_a_pod_and_of_the_api_once(chart: Chart) -> None:
    documents = chart.render(ON)
    assert {name_of(each) for kind in MONITORS for each in of_kind(documents, kind)} == {
        "PodMonitor/shop-order-lifecycle-worker-orders",
        "PodMonitor/shop-order-lifecycle-worker-payments",
        "PodMonitor/shop-order-lifecycle-worker-shipping",
        "ServiceMonitor/shop-order-lifecycle-api",
    }
    alone = chart.render({"monitoring.podMonitor.enabled": True})
    assert len(of_kind(alone, "PodMonitor")) == 4


def test_what_alerts_pick_series_by_comes_from_the_processes_and_not_from_how_they_are_fetched(chart: Chart) -> None:
    for kind in MONITORS:
        for each in of_kind(chart.render(ON), kind):
            (endpoint,) = each["spec"].get("podMetricsEndpoints") or each["spec"]["endpoints"]
            # honorLabels or relabelings would change namespace and service_name, which the alerts ask for.
            assert endpoint == {"port": "metrics", "path": "/metrics", "interval": "30s"}
            assert each["spec"].keys() == {"selector", (kind == "PodMonitor" and "podMetricsEndpoints") or "endpoints"}


def test_no_pod_is_named_otherwise_than_the_alerts_know_it(chart: Chart) -> None:
    assert not [pod for pod in pods(chart.render()) if "OTEL_SERVICE_NAME" in environment(pod.containers[0])]


@pytest.mark.parametrize("kind", ["PodMonitor", "ServiceMonitor", "PrometheusRule"])
def test_prometheus_operator_finds_them_by_the_labels_that_it_wants(chart: Chart, kind: str) -> None:
    for each in of_kind(chart.render({**ON, "monitoring.labels": {"release": "prometheus"}}), kind):
        assert each["metadata"]["labels"]["release"] == "prometheus"


def test_the_notes_say_what_to_do_next(chart: Chart) -> None:
    notes = chart.notes()
    assert "helm test shop --namespace orders" in notes
    assert "kubectl --namespace orders port-forward service/shop-order-lifecycle-api 8000:8000" in notes
    assert "auth.mode is none" in notes
    assert "Payments are simulated" in notes


def test_the_notes_say_what_has_to_be_done_by_hand(chart: Chart) -> None:
    notes = chart.notes({"migrations.mode": "none", "workerVersioning": {"mode": "env", "buildId": "7"}})
    assert "python -m migrations" in notes
    assert "--deployment-name shop-order-lifecycle-worker-orders --build-id 7" in notes
