"""The checks of objects find what Kubernetes would refuse, or leave out without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.deploy.documents import Document
from tests.deploy.references import dangling
from tests.deploy.schemas import VERSIONS, faults, faults_of_custom

LABELS = {"app": "shop"}
POD: dict[str, Any] = {
    "serviceAccountName": "shop",
    "containers": [
        {
            "name": "shop",
            "image": "shop:1",
            "ports": [{"name": "http", "containerPort": 8000}],
            "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "shop", "key": "key"}}}],
        }
    ],
}
DEPLOYMENT: Document = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "shop"},
    "spec": {"selector": {"matchLabels": LABELS}, "template": {"metadata": {"labels": LABELS}, "spec": POD}},
}
GIVEN = {"ServiceAccount/shop", "Secret/shop/key"}


def of(kind: str, **spec: Any) -> Document:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "shop"}, "spec": spec}


@pytest.mark.parametrize("version", VERSIONS)
def test_an_unknown_field_is_found(version: str) -> None:
    assert faults(DEPLOYMENT, version) == []
    (fault,) = faults(DEPLOYMENT | {"spec": {**DEPLOYMENT["spec"], "replica": 2}}, version)
    assert "'replica' was unexpected" in fault


def test_a_field_that_would_be_pruned_of_a_custom_resource_is_found(crd_schemas: Path) -> None:
    rule = of("PrometheusRule", groups=[{"name": "one", "rules": [], "intervall": "30s"}])
    rule["apiVersion"] = "monitoring.coreos.com/v1"
    (fault,) = faults_of_custom(rule, crd_schemas)
    assert "'intervall' was unexpected" in fault


def test_a_whole_set_of_objects_refers_to_nothing_that_is_not_there() -> None:
    assert dangling([DEPLOYMENT], GIVEN) == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (of("Service", selector={"app": "shops"}, ports=[]), "selects pods of nobody"),
        (of("Service", selector=LABELS, ports=[{"name": "m", "targetPort": "metrics"}]), "port metrics is of no"),
        (of("PodDisruptionBudget", selector={"matchLabels": {"app": "s"}}), "selects pods of nobody"),
        (of("NetworkPolicy", podSelector={"matchLabels": {"app": "s"}}), "selects no pod"),
        (of("HorizontalPodAutoscaler", scaleTargetRef={"kind": "Deployment", "name": "s"}), "refers to Deployment/s"),
        (of("ServiceMonitor", selector={"matchLabels": LABELS}, endpoints=[{"port": "m"}]), "port m is of no Service"),
        (of("PodMonitor", selector={"matchLabels": LABELS}, podMetricsEndpoints=[{"port": "m"}]), "port m is of no"),
        (of("TriggerAuthentication", secretTargetRef=[{"name": "k", "key": "k"}]), "refers to Secret/k/k"),
        (of("HTTPRoute", rules=[{"backendRefs": [{"name": "s"}]}]), "refers to Service/s"),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else value,
)
def test_what_is_not_there_is_found(more: Document, said: str) -> None:
    (found,) = dangling([DEPLOYMENT, more], GIVEN)
    assert said in found


@pytest.mark.parametrize("given", sorted(GIVEN))
def test_a_pod_that_could_not_start_is_found(given: str) -> None:
    assert dangling([DEPLOYMENT], GIVEN - {given}) == [f"Deployment/shop refers to {given}"]


def test_a_replica_count_beside_a_scaler_is_found() -> None:
    counted = DEPLOYMENT | {"spec": {**DEPLOYMENT["spec"], "replicas": 2}}
    scaler = of("HorizontalPodAutoscaler", scaleTargetRef={"kind": "Deployment", "name": "shop"})
    (found,) = dangling([counted, scaler], GIVEN)
    assert "shop has replicas too" in found
