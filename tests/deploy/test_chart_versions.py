"""Versions of workers: each has a Deployment, which the next ones leave alone."""

from __future__ import annotations

import re

import pytest

from orders.contracts import TASKS
from tests.deploy.charts import Chart, Values
from tests.deploy.documents import Document, environment, name_of, of_kind, one, pods, selects

LABEL = "order-lifecycle/build-id"
KEDA: Values = {"workerDefaults.autoscaling.type": "keda"}


def version(build_id: str, more: Values | None = None) -> Values:
    return {"workerVersioning": {"mode": "env", "buildId": build_id}, **(more or {})}


def workers(documents: list[Document]) -> dict[str, Document]:
    """Deployments of workers by name."""
    return {
        each["metadata"]["name"]: each
        for each in of_kind(documents, "Deployment")
        if each["metadata"]["labels"]["app.kubernetes.io/component"] == "worker"
    }


def test_without_versions_no_worker_has_one(chart: Chart) -> None:
    documents = chart.render()
    for pod in (pod for pod in pods(documents) if pod.component == "worker"):
        assert not {"WORKER_BUILD_ID", "WORKER_DEPLOYMENT_NAME"} & set(environment(pod.containers[0]))
        assert LABEL not in pod.labels
        assert "annotations" not in pod.owner["metadata"]


def test_a_new_version_is_another_deployment_and_the_one_before_is_left(chart: Chart) -> None:
    old, new = (workers(chart.render(version(each))) for each in ("1.0", "2.0"))
    assert not set(old) & set(new)
    assert set(old) == {f"shop-order-lifecycle-worker-{queue}-1-0" for queue in TASKS}
    # What an upgrade takes out of a release stays in the cluster with this.
    assert {each["metadata"]["annotations"]["helm.sh/resource-policy"] for each in old.values()} == {"keep"}


def test_no_version_takes_the_pods_of_another(chart: Chart) -> None:
    documents = [*chart.render(version("1.0")), *chart.render(version("2.0"))]
    found = [pod for pod in pods(documents) if pod.component == "worker"]
    for deployment in workers(documents).values():
        own = [pod.owner for pod in found if selects(deployment["spec"]["selector"], pod.labels)]
        assert own == [deployment]


@pytest.mark.parametrize("kind", ["PodDisruptionBudget", "NetworkPolicy", "PodMonitor"])
def test_what_is_for_a_worker_is_for_all_its_versions(chart: Chart, kind: str) -> None:
    more: Values = {"monitoring.podMonitor.enabled": True}
    old, new = (chart.render(version(each, more)) for each in ("1.0", "2.0"))
    assert of_kind(old, kind)
    assert [each["spec"] for each in of_kind(old, kind)] == [each["spec"] for each in of_kind(new, kind)]


def test_the_deployments_of_a_version_can_be_found_and_deleted(chart: Chart) -> None:
    for each in workers(chart.render(version("1.0_b"))).values():
        assert each["metadata"]["labels"][LABEL] == "1.0_b"


def test_a_worker_tells_temporal_one_name_for_all_versions(chart: Chart) -> None:
    for build_id in ("1.0", "2.0"):
        for queue in TASKS:
            deployment = one(chart.render(version(build_id)), "Deployment", f"-{queue}-{build_id.replace('.', '-')}")
            given = environment(deployment["spec"]["template"]["spec"]["containers"][0])
            assert given["WORKER_DEPLOYMENT_NAME"] == f"shop-order-lifecycle-worker-{queue}"
            assert given["WORKER_BUILD_ID"] == build_id


def test_a_version_is_that_of_the_image_where_none_is_named(chart: Chart) -> None:
    documents = chart.render({"workerVersioning.mode": "env", "image.tag": "2.0.0"})
    given = environment(one(documents, "Deployment", "orders-2-0-0")["spec"]["template"]["spec"]["containers"][0])
    assert given["WORKER_BUILD_ID"] == "2.0.0"


@pytest.mark.parametrize(
    ("fullname", "build_id"), [("orders", "V2"), ("orders", "2_0"), ("orders", "a" * 63), ("o" * 40, "2.0")]
)
def test_names_fit_and_differ_whatever_the_version_is_called(chart: Chart, fullname: str, build_id: str) -> None:
    more: Values = {"fullnameOverride": fullname, "workers": {"returns-express": {"queues": ["express"]}}}
    names = list(workers(chart.render(version(build_id, more))))
    assert len(names) == len({*names}) == 4
    assert [name for name in names if not re.fullmatch("[a-z][-a-z0-9]{0,61}[a-z0-9]", name)] == []


@pytest.mark.parametrize(("scaling", "kind"), [("hpa", "HorizontalPodAutoscaler"), ("keda", "ScaledObject")])
def test_the_version_of_the_release_is_scaled(chart: Chart, scaling: str, kind: str) -> None:
    documents = chart.render(version("2.0", {"workerDefaults.autoscaling.type": scaling}))
    scaled = {each["spec"]["scaleTargetRef"]["name"] for each in of_kind(documents, kind)}
    assert scaled == set(workers(documents))
    # There is one for each worker, and not for each version.
    assert {name_of(each) for each in of_kind(documents, kind)} == {
        f"{kind}/shop-order-lifecycle-worker-{queue}" for queue in TASKS
    }


def test_keda_counts_only_what_waits_for_the_version_that_a_worker_is(chart: Chart) -> None:
    documents = chart.render(version("1.2.3", KEDA))
    for queue in TASKS:
        (trigger,) = one(documents, "ScaledObject", queue)["spec"]["triggers"]
        assert trigger["metadata"]["workerDeploymentName"] == f"shop-order-lifecycle-worker-{queue}"
        assert trigger["metadata"]["workerDeploymentBuildId"] == "1.2.3"


def test_the_notes_say_how_a_version_is_made_current_and_how_it_goes(chart: Chart) -> None:
    notes = chart.notes(version("7"))
    assert "Nothing works before you make the version current" in notes
    for queue in TASKS:
        assert f"--deployment-name shop-order-lifecycle-worker-{queue} --build-id 7" in notes
    assert "temporal worker deployment describe --name shop-order-lifecycle-worker-shipping" in notes
