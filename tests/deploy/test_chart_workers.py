"""Workers: one Deployment a task queue, merged over the defaults, scaled and versioned as one says."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from orders.contracts import TASKS
from tests.deploy.charts import Chart, Values
from tests.deploy.documents import Document, environment, name_of, of_kind, one, pods

TEMPLATE_OF_A_QUEUE = """\
workers:
  returns:
    queues: [returns, refunds]
    replicas: 5
"""
KEDA: Values = {"workerDefaults.autoscaling.type": "keda"}


def triggers(scaled: Document, kind: str) -> list[dict[str, str]]:
    return [each["metadata"] for each in scaled["spec"]["triggers"] if each["type"] == kind]


def test_each_queue_has_a_worker_of_its_own(chart: Chart) -> None:
    workers = {pod.owner["metadata"]["name"]: pod for pod in pods(chart.render()) if pod.component == "worker"}
    assert {name: pod.containers[0]["args"] for name, pod in workers.items()} == {
        f"shop-order-lifecycle-worker-{queue}": [queue] for queue in TASKS
    }


def test_a_new_queue_is_four_lines(chart: Chart) -> None:
    assert len(TEMPLATE_OF_A_QUEUE.splitlines()) == 4
    documents = chart.render(yaml.safe_load(TEMPLATE_OF_A_QUEUE))
    added = {name_of(each) for each in documents} - {name_of(each) for each in chart.render()}
    name = "shop-order-lifecycle-worker-returns"
    assert added == {f"Deployment/{name}", f"ServiceAccount/{name}", f"PodDisruptionBudget/{name}"}
    deployment = one(documents, "Deployment", "returns")
    assert deployment["spec"]["replicas"] == 5
    assert deployment["spec"]["template"]["spec"]["containers"][0]["args"] == ["returns", "refunds"]


def test_a_worker_has_what_it_says_and_the_rest_from_the_defaults(chart: Chart) -> None:
    documents = chart.render(
        {"workerDefaults.resources.limits.memory": "1Gi", "workers.payments.resources.requests.cpu": "2"}
    )
    resources = {
        queue: one(documents, "Deployment", queue)["spec"]["template"]["spec"]["containers"][0]["resources"]
        for queue in ("orders", "payments")
    }
    assert resources["orders"] == {"requests": {"cpu": "250m", "memory": "320Mi"}, "limits": {"memory": "1Gi"}}
    assert resources["payments"] == {"requests": {"cpu": "2", "memory": "320Mi"}, "limits": {"memory": "1Gi"}}


@pytest.mark.parametrize("without", [{"workers.shipping": None}, {"workers.shipping.enabled": False}])
def test_a_worker_can_be_left_out(chart: Chart, without: Values) -> None:
    documents = chart.render({**without, "checks.queues": False})
    assert not [name for name in map(name_of, documents) if name.endswith("shipping")]


@pytest.mark.parametrize(("scaling", "kind"), [("hpa", "HorizontalPodAutoscaler"), ("keda", "ScaledObject")])
def test_what_is_scaled_has_no_replicas_of_its_own(chart: Chart, scaling: str, kind: str) -> None:
    documents = chart.render({"workers.payments.autoscaling": {"type": scaling, "minReplicas": 3, "maxReplicas": 7}})
    assert "replicas" not in one(documents, "Deployment", "payments")["spec"]
    assert one(documents, "Deployment", "orders")["spec"]["replicas"] == 2
    spec = one(documents, kind, "payments")["spec"]
    assert spec["scaleTargetRef"]["name"] == "shop-order-lifecycle-worker-payments"
    assert {key: value for key, value in spec.items() if key.startswith(("min", "max"))} in (
        {"minReplicas": 3, "maxReplicas": 7},
        {"minReplicaCount": 3, "maxReplicaCount": 7},
    )


def test_the_api_that_is_scaled_has_no_replicas_of_its_own(chart: Chart) -> None:
    documents = chart.render({"api.autoscaling": {"type": "hpa"}})
    assert "replicas" not in one(documents, "Deployment", "-api")["spec"]
    assert one(documents, "HorizontalPodAutoscaler")["spec"]["minReplicas"] == 2


def test_keda_asks_each_queue_for_the_tasks_that_it_has(chart: Chart) -> None:
    documents = chart.render(KEDA)
    for queue, kinds in TASKS.items():
        (trigger,) = triggers(one(documents, "ScaledObject", queue), "temporal")
        assert trigger["taskQueue"] == queue
        assert set(trigger["queueTypes"].split(",")) == set(kinds)
        assert trigger["endpoint"] == "temporal-frontend.temporal:7233"
        assert (trigger["enableTLS"], trigger["unsafeSsl"]) == ("false", "false")
        # It compares the numbers as texts.
        assert {type(value) for value in trigger.values()} == {str}


def test_keda_counts_busy_slots_too_where_it_has_a_prometheus(chart: Chart) -> None:
    address = "http://prometheus.monitoring:9090"
    documents = chart.render({**KEDA, "workerDefaults.autoscaling.keda": {"prometheus": {"serverAddress": address}}})
    (trigger,) = triggers(one(documents, "ScaledObject", "payments"), "prometheus")
    assert trigger["serverAddress"] == address
    assert 'temporal_worker_task_slots_used{namespace="orders", task_queue="payments"}' in trigger["query"]
    assert trigger["threshold"] == "75"


def test_keda_proves_itself_as_the_workers_do(chart: Chart) -> None:
    documents = chart.render({**KEDA, "temporal.apiKey.existingSecret": {"name": "cloud"}})
    proof = one(documents, "TriggerAuthentication")
    assert proof["spec"]["secretTargetRef"] == [{"parameter": "apiKey", "name": "cloud", "key": "api-key"}]
    for each in of_kind(documents, "ScaledObject"):
        (trigger,) = each["spec"]["triggers"]
        assert trigger["authenticationRef"]["name"] == proof["metadata"]["name"]
        assert trigger["metadata"]["enableTLS"] == "true"


def test_temporal_s_controller_gets_the_workers_as_they_would_be_else(chart: Chart) -> None:
    plain, controlled = chart.render(), chart.render({"workerVersioning.mode": "controller"})
    assert [name_of(each) for each in of_kind(controlled, "Deployment")] == ["Deployment/shop-order-lifecycle-api"]
    connection = one(controlled, "Connection")
    for queue in TASKS:
        before, after = one(plain, "Deployment", queue)["spec"], one(controlled, "WorkerDeployment", queue)["spec"]
        assert after["replicas"] == before["replicas"]
        assert after["workerOptions"]["connectionRef"]["name"] == connection["metadata"]["name"]
        own, theirs = (spec["template"]["spec"]["containers"][0] for spec in (before, after))
        assert {key: own[key] for key in own if key != "env"} == {key: theirs[key] for key in theirs if key != "env"}
        # The controller gives these by itself.
        assert set(environment(own)) - set(environment(theirs)) == {
            "TEMPORAL_ADDRESS",
            "TEMPORAL_NAMESPACE",
            "TEMPORAL_TLS",
        }


@pytest.mark.parametrize(("replicas", "budgets"), [(2, 3), (1, 0)])
def test_a_budget_keeps_a_drain_from_taking_all_where_there_are_two(chart: Chart, replicas: int, budgets: int) -> None:
    documents = chart.render({"workerDefaults.replicas": replicas})
    found = [each for each in of_kind(documents, "PodDisruptionBudget") if "worker" in each["metadata"]["name"]]
    assert len(found) == budgets
    assert {each["spec"]["maxUnavailable"] for each in found} <= {1}


def test_workers_are_asked_on_the_port_of_their_probes_and_the_api_on_its_own(chart: Chart) -> None:
    asked: dict[str, Any] = {}
    for pod in (pod for pod in pods(chart.render()) if pod.component in ("api", "worker")):
        container = pod.containers[0]
        asked[pod.component] = {kind: container[kind]["httpGet"] for kind in container if kind.endswith("Probe")}
    for component, port in (("api", "http"), ("worker", "probes")):
        assert asked[component] == {
            "startupProbe": {"path": "/healthz", "port": port},
            "livenessProbe": {"path": "/healthz", "port": port},
            "readinessProbe": {"path": "/readyz", "port": port},
        }
