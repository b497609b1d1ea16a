"""What each values file in ``ci/`` makes: objects that Kubernetes takes, whole, safe, and the same as before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.deploy import golden
from tests.deploy.charts import CHART, FILES, Chart
from tests.deploy.documents import Document, name_of, pods
from tests.deploy.given import given
from tests.deploy.pod_security import violations
from tests.deploy.references import dangling, wanted_by_pod
from tests.deploy.schemas import VERSIONS, faults, faults_of_custom, is_custom

OTHERS = ("ExternalSecret",)
"""What values files have as extraObjects, for which there are no schemas here."""
each_file = pytest.mark.parametrize("file", FILES)


@pytest.fixture(scope="module")
def objects(chart: Chart) -> list[Document]:
    """Every object that any values file makes of the chart's own, once."""
    made = [each for file in FILES for each in chart.render(file=file) if each["kind"] not in OTHERS]
    return list({json.dumps(each, sort_keys=True): each for each in made}.values())


@each_file
def test_helm_finds_nothing_wrong(chart: Chart, file: str) -> None:
    assert chart.lint(file) == ""


def test_helm_3_finds_nothing_wrong_with_everything_on(older_helm: str) -> None:
    assert Chart(older_helm).lint("full") == ""


@each_file
def test_helm_3_renders_the_same(chart: Chart, older_helm: str, file: str) -> None:
    assert sorted(Chart(older_helm).render(file=file), key=name_of) == sorted(chart.render(file=file), key=name_of)


@each_file
def test_what_it_makes_is_what_was_agreed_on(chart: Chart, file: str) -> None:
    assert golden.written(chart, file) == golden.path_of(file).read_text(), "see `make goldens`"


def test_no_render_is_kept_of_a_values_file_that_is_gone() -> None:
    assert set(golden.FOLDER.iterdir()) == {golden.path_of(file) for file in FILES}


@each_file
def test_all_that_is_referred_to_is_there(chart: Chart, file: str) -> None:
    assert dangling(chart.render(file=file), given(file)) == []


@each_file
def test_every_pod_keeps_to_pod_security_restricted(chart: Chart, file: str) -> None:
    all_pods = list(pods(chart.render(file=file)))
    found = {name_of(pod.owner): violations(pod.spec, pod.metadata.get("annotations")) for pod in all_pods}
    assert {name: what for name, what in found.items() if what} == {}
    assert len(found) >= 5


@each_file
def test_every_pod_has_no_token_a_read_only_root_and_bounds(chart: Chart, file: str) -> None:
    for pod in pods(chart.render(file=file)):
        assert pod.spec["automountServiceAccountToken"] is False, pod.owner
        assert pod.spec["enableServiceLinks"] is False, pod.owner
        for container in pod.containers:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, pod.owner
            assert container["securityContext"]["runAsUser"] == 65532, pod.owner
            assert container["resources"]["limits"]["memory"], pod.owner
            assert set(container["resources"]["requests"]) == {"cpu", "memory"}, pod.owner
            assert {each["mountPath"] for each in container["volumeMounts"] if not each.get("readOnly")} == {"/tmp"}
        assert all("sizeLimit" in each["emptyDir"] for each in pod.spec["volumes"] if "emptyDir" in each), pod.owner


@each_file
def test_no_two_objects_have_one_name_and_all_are_in_the_namespace_of_the_release(chart: Chart, file: str) -> None:
    documents = [each for each in chart.render(file=file) if each["kind"] not in OTHERS]
    assert len({name_of(each) for each in documents}) == len(documents)
    assert {each["metadata"].get("namespace") for each in documents} == {"orders"}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_supported_kubernetes_takes_every_object_as_it_is(objects: list[Document], version: str) -> None:
    own = [each for each in objects if not is_custom(each)]
    assert [fault for each in own for fault in faults(each, version)] == []
    assert len(own) > len(FILES)


def test_the_oldest_supported_kubernetes_is_the_one_that_the_chart_asks_for() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"] == f">={VERSIONS[0]}.0-0"


def test_every_custom_resource_is_as_its_definition_says(objects: list[Document], crd_schemas: Path) -> None:
    custom = [each for each in objects if is_custom(each)]
    assert [fault for each in custom for fault in faults_of_custom(each, crd_schemas)] == []


def test_every_kind_of_custom_resource_is_made_by_some_values_file(objects: list[Document]) -> None:
    assert {each["kind"] for each in objects if is_custom(each)} >= {
        "Connection",
        "HTTPRoute",
        "PodMonitor",
        "PrometheusRule",
        "ScaledObject",
        "ServiceMonitor",
        "TriggerAuthentication",
        "WorkerDeployment",
    }


@each_file
def test_what_helm_makes_before_the_rest_needs_nothing_of_the_rest(chart: Chart, file: str) -> None:
    documents = chart.render(file=file)
    early = [pod for pod in pods(documents) if "pre-install" in str(pod.owner["metadata"].get("annotations"))]
    for pod in early:
        assert set(wanted_by_pod(pod.spec)) <= set(given(file)), "a first install would wait for itself"
