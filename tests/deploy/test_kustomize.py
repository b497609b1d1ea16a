"""infra/k8s: what kustomize makes is what the chart makes, and safe."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra import kind, manifests
from tests.deploy.charts import CHART, Chart
from tests.deploy.documents import Document, Pod, environment, name_of, of_kind, one, pods
from tests.deploy.kustomizations import DEV, PROD, SERVICES, built
from tests.deploy.pod_security import violations
from tests.deploy.references import dangling
from tests.deploy.schemas import VERSIONS, faults

FOLDERS = [DEV, PROD, SERVICES]
DATABASE = f"Secret/{kind.SECRET}/url"
SETTINGS = {"AUTH_AUDIENCE", "AUTH_ISSUER", "AUTH_JWKS_URL", "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE"}
"""What the ConfigMap order-lifecycle-settings has to have, as the head of the overlay says."""

by_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def namespace() -> Document:
    loaded: Document = yaml.safe_load((kind.K8S / "namespace.yaml").read_text())
    return loaded


def test_the_base_is_what_the_chart_makes(helm: str) -> None:
    assert sorted(manifests.stale(helm)) == [], "make manifests"


def test_the_base_says_nothing_of_helm() -> None:
    for path in manifests.BASE.iterdir():
        text = path.read_text()
        assert [label for label in manifests.OF_HELM if label in text] == [], path.name
        assert "helm.sh/hook" not in text, path.name


@by_folder
def test_the_oldest_supported_kubernetes_takes_it(kubectl: str, folder: Path) -> None:
    for document in [*built(kubectl, folder), namespace()]:
        assert faults(document, VERSIONS[0]) == []


@by_folder
def test_every_pod_is_restricted_and_bounded(kubectl: str, folder: Path) -> None:
    for pod in pods(built(kubectl, folder)):
        assert violations(pod.spec, pod.metadata.get("annotations")) == [], name_of(pod.owner)
        assert pod.spec["automountServiceAccountToken"] is False
        for container in pod.containers:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert "memory" in container["resources"]["limits"]


@by_folder
def test_everything_is_in_the_namespace_which_no_folder_owns(kubectl: str, folder: Path) -> None:
    made = built(kubectl, folder)
    assert {each["metadata"]["namespace"] for each in made} == {namespace()["metadata"]["name"]} == {kind.NAMESPACE}
    assert of_kind(made, "Namespace") == of_kind(made, "Secret") == []
    assert namespace()["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_what_is_referred_to_is_there_or_is_said_to_be_needed(kubectl: str) -> None:
    front_door = [each for each in built(kubectl, SERVICES) if each["metadata"]["name"] == "front-door"]
    assert len(front_door) == 2
    assert dangling([*built(kubectl, DEV), *front_door], {DATABASE}) == []
    assert dangling(built(kubectl, PROD), {DATABASE, "ConfigMap/order-lifecycle-settings"}) == []


def of_pod(pod: Pod) -> dict[str, Any]:
    """What of a pod does not depend on the names of a release and the tags of images."""
    spec = {key: value for key, value in pod.spec.items() if key not in {"topologySpreadConstraints", "containers"}}
    (container,) = pod.containers
    of_container = {**container, "image": container["image"].partition(":")[0], "env": environment(container)}
    return {**spec, **of_container, "replicas": pod.owner["spec"].get("replicas")}


def reach(document: Document) -> set[str]:
    """What a NetworkPolicy lets in and out."""
    spec = document["spec"]
    return {
        f"{way} {json.dumps(rule, sort_keys=True)}" for way in ("ingress", "egress") for rule in spec.get(way) or ()
    }


def test_the_dev_overlay_is_the_chart_with_the_values_for_development(kubectl: str, chart: Chart) -> None:
    by_kustomize, by_chart = built(kubectl, DEV), chart.render({"tests.enabled": False}, file="dev")
    own, theirs = (
        {(each.component, each.labels.get("order-lifecycle/worker")): of_pod(each) for each in pods(made)}
        for made in (by_kustomize, by_chart)
    )
    assert own == theirs
    policies = {each["metadata"]["name"]: reach(each) for each in of_kind(by_kustomize, "NetworkPolicy")}
    assert policies == {each["metadata"]["name"]: reach(each) for each in of_kind(by_chart, "NetworkPolicy")}


def test_production_asks_who_asks_and_encrypts(kubectl: str) -> None:
    made = built(kubectl, PROD)
    wanted = set()
    for pod in pods(made):
        (container,) = pod.containers
        variables = environment(container)
        assert variables["PGSSLMODE"] == "verify-full", name_of(pod.owner)
        if pod.component != "migrations":
            assert variables["TEMPORAL_TLS"] == "true"
        from_map = {
            name: each["configMapKeyRef"]["key"] for name, each in variables.items() if "configMapKeyRef" in each
        }
        assert all(name == key for name, key in from_map.items())
        wanted |= set(from_map)
    api = environment(one(made, "Deployment", "-api")["spec"]["template"]["spec"]["containers"][0])
    assert api["AUTH_MODE"] == "jwt"
    assert "AUTH_NONE_I_MEAN_IT" not in api
    assert wanted == SETTINGS
    assert all(name in (PROD / "kustomization.yaml").read_text() for name in SETTINGS)


def test_in_production_no_pod_is_the_only_one_and_a_drain_takes_them_by_ones(kubectl: str) -> None:
    made = built(kubectl, PROD)
    deployments = {each["metadata"]["name"]: each["spec"]["replicas"] for each in of_kind(made, "Deployment")}
    assert min(deployments.values()) >= 2
    assert {each["metadata"]["name"] for each in of_kind(made, "PodDisruptionBudget")} == set(deployments)


def test_production_s_images_are_those_of_the_chart_s_version(kubectl: str) -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    tags = {container["image"].partition(":")[2] for pod in pods(built(kubectl, PROD)) for container in pod.containers}
    assert tags == {version}


IN_REGISTRY = "newName: 'registry.example.com:5000/shop/order-lifecycle-migrate', newTag: 0.2.0"
DIGEST = f"digest: 'sha256:{'ab' * 32}'"


def with_migrations(folder: Path, image: str) -> Path:
    """Copy the overlay for production, with another image of the migrations; give its folder."""
    shutil.copytree(kind.K8S, folder / "k8s")
    file = folder / "k8s" / "overlays" / "prod" / "kustomization.yaml"
    text = file.read_text()
    assert text.count("migrate, newTag: 0.1.0}") == 1
    file.write_text(text.replace("migrate, newTag: 0.1.0}", f"migrate, {image}}}"))
    return file.parent


@pytest.mark.parametrize(
    "image", ["newTag: 0.2.0", IN_REGISTRY, f"{IN_REGISTRY}, {DIGEST}"], ids=["tag", "registry", "digest"]
)
def test_another_image_makes_another_job(kubectl: str, tmp_path: Path, image: str) -> None:
    jobs = [one(built(kubectl, folder), "Job") for folder in (PROD, with_migrations(tmp_path, image))]
    names = [job["metadata"]["name"] for job in jobs]
    assert names == ["orders-migrations-0.1.0", "orders-migrations-0.2.0"]
    (container,) = jobs[1]["spec"]["template"]["spec"]["containers"]
    assert ("@sha256:" in container["image"]) == (DIGEST in image)


@pytest.mark.parametrize("image", [DIGEST, "newName: registry.example.com/migrate"], ids=["digest", "name"])
def test_an_image_that_no_job_can_be_named_after_is_refused(kubectl: str, tmp_path: Path, image: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as error:
        built(kubectl, with_migrations(tmp_path, image))
    assert "out of bounds for value" in error.value.stderr


def test_the_dev_services_let_in_the_release_and_go_nowhere(kubectl: str) -> None:
    made = built(kubectl, SERVICES)
    instance = {pod.labels["app.kubernetes.io/instance"] for pod in pods(built(kubectl, DEV))}
    assert instance == {kind.RELEASE}
    for pod in pods(made):
        name = pod.owner["metadata"]["name"]
        spec = one(made, "NetworkPolicy", name)["spec"]
        assert spec["podSelector"]["matchLabels"].items() <= pod.labels.items()
        assert (spec["policyTypes"], spec.get("egress")) == (["Ingress", "Egress"], None)
        peers = [peer for rule in spec["ingress"] for peer in rule["from"]]
        assert {"podSelector": {"matchLabels": {"app.kubernetes.io/instance": kind.RELEASE}}} in peers
        named = {port["name"] for container in pod.containers for port in container["ports"]}
        assert {port["port"] for rule in spec["ingress"] for port in rule["ports"]} <= named


def test_the_dev_services_are_where_the_dev_overlay_looks(kubectl: str) -> None:
    services = of_kind(built(kubectl, SERVICES), "Service")
    served = {f"{each['metadata']['name']}:{port['port']}" for each in services for port in each["spec"]["ports"]}
    api = environment(one(built(kubectl, DEV), "Deployment", "-api")["spec"]["template"]["spec"]["containers"][0])
    url = str(kind.database_secret()["stringData"]["url"])
    found = {api["TEMPORAL_ADDRESS"], api["OTEL_EXPORTER_OTLP_ENDPOINT"].removeprefix("http://")}
    assert found | {url.partition("@")[2].partition("/")[0]} <= served
    postgres = environment(
        one(built(kubectl, SERVICES), "StatefulSet", "postgres")["spec"]["template"]["spec"]["containers"][0]
    )
    assert url.startswith(f"postgresql://{postgres['POSTGRES_USER']}:")
    assert url.endswith(f"/{postgres['POSTGRES_DB']}")
