"""skaffold.yaml: what Skaffold reads it as, and that all it names is there."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from infra import kind
from infra.images import reload
from tests.deploy.charts import FILES, Chart
from tests.deploy.documents import Document, of_kind, pods
from tests.deploy.kustomizations import SERVICES, built

CONFIGS: list[Document] = list(yaml.safe_load_all((kind.ROOT / "skaffold.yaml").read_text()))
SERVICES_CONFIG, ORDERS_CONFIG = CONFIGS
STAGES = set(re.findall(r"^FROM \S+ AS (\S+)$", (kind.ROOT / "Dockerfile").read_text(), re.MULTILINE))


def with_profile(config: Document, *names: str) -> Document:
    """Lay profiles over a config as Skaffold does: their patches; what else they have replaces what was there."""
    made = copy.deepcopy(config)
    for profile in (each for each in made.pop("profiles") if each["name"] in names):
        for key in {"build", "deploy", "manifests"} & profile.keys():
            made[key] = {**made.get(key, {}), **profile[key]}
        for patch in profile["patches"]:
            _apply(patch, made)
    return made


def _apply(patch: dict[str, Any], document: Any) -> None:
    """Apply one operation of a JSON patch (RFC 6902), of the kinds that stand in the file."""
    *parents, last = [int(part) if part.isdigit() else part for part in patch["path"].split("/")[1:]]
    for part in parents:
        document = document[part]
    if patch["op"] in {"replace", "remove"}:
        # Both need something to be there.
        del document[last]
    if patch["op"] in {"add", "replace"}:
        document[last] = patch["value"]


def artifacts(config: Document) -> dict[str, Document]:
    return {each["image"]: each for each in config["build"].get("artifacts", ())}


def test_it_has_the_form_that_skaffold_reads(crd_schemas: Path) -> None:
    validator = Draft7Validator(json.loads((crd_schemas / "skaffold-v4beta13.json").read_text()))
    for config in CONFIGS:
        assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(config)] == []
        assert config["apiVersion"] == "skaffold/v4beta13"


@pytest.mark.parametrize("profiles", [(), ("dev",), ("dev", "kustomize"), ("prod",)], ids="+".join)
def test_every_file_and_target_that_it_names_is_there(profiles: tuple[str, ...]) -> None:
    for config in CONFIGS:
        made = with_profile(config, *profiles)
        targets = {each["docker"]["target"] for each in artifacts(made).values()}
        assert targets <= STAGES
        paths = made.get("manifests", {}).get("kustomize", {}).get("paths", [])
        for release in made.get("deploy", {}).get("helm", {}).get("releases", ()):
            paths = [*paths, release["chartPath"], *(each for each in release["valuesFiles"] if "{{" not in each)]
        assert [path for path in paths if not (kind.ROOT / path).exists()] == []


def test_the_release_is_the_one_of_make_deploy() -> None:
    (release,) = ORDERS_CONFIG["deploy"]["helm"]["releases"]
    assert (release["name"], release["namespace"]) == (kind.RELEASE, kind.NAMESPACE)
    assert release["valuesFiles"] == [str(FILES["dev"].relative_to(kind.ROOT))]
    hook = SERVICES_CONFIG["deploy"]["kubectl"]["hooks"]["before"][0]["host"]["command"]
    assert hook == ["python3", "-m", "infra.kind", "secrets"]


@pytest.mark.parametrize("digest", ["", f"sha256:{'ab' * 32}"], ids=["loaded", "pushed"])
def test_every_pod_runs_an_image_that_it_builds(chart: Chart, digest: str) -> None:
    variables = {"REPO": "registry.example.com/{}", "TAG": f"{'0e1' * 21}f", "DIGEST": digest}
    (release,) = ORDERS_CONFIG["deploy"]["helm"]["releases"]
    values = {}
    for key, template in release["setValueTemplates"].items():
        (which, image) = re.fullmatch(r"\{\{\.IMAGE_([A-Z]+)_(\w+)\}\}", template).groups()  # type: ignore[union-attr]
        # Skaffold writes a name so that a template can have it.
        (artifact,) = (each for each in artifacts(ORDERS_CONFIG) if re.sub(r"[-./:]", "_", each) == image)
        values[key] = variables[which].format(artifact)
    made = {each["image"] for pod in pods(chart.render(values, file="dev")) for each in pod.containers}
    suffix = f"@{digest}" if digest else f":{variables['TAG']}"
    assert made == {f"registry.example.com/{image}{suffix}" for image in artifacts(ORDERS_CONFIG)}


def test_the_dev_services_run_the_image_that_it_builds(kubectl: str) -> None:
    images = {each["image"].partition(":")[0] for pod in pods(built(kubectl, SERVICES)) for each in pod.containers}
    assert set(artifacts(SERVICES_CONFIG)) <= images


def test_changed_files_go_where_the_reloader_runs_from() -> None:
    made = artifacts(with_profile(ORDERS_CONFIG, "dev"))
    dockerfile = (kind.ROOT / "Dockerfile").read_text()
    for name, target in (("order-lifecycle-api", "api"), ("order-lifecycle-worker", "worker")):
        assert made[name]["docker"]["target"] == f"{target}-dev"
        stage = dockerfile.partition(f"AS {target}\n")[2].partition("\nFROM ")[0]
        packages = re.findall(r"COPY --from=sources /app/(\w+)", stage)
        rules = made[name]["sync"]["manual"]
        assert sorted(rule["src"] for rule in rules) == sorted(f"{package}/**/*.py" for package in packages)
        assert {rule["dest"] for rule in rules} == {str(reload.COPY)}
    # No pod of these runs: their images are built anew, and the release upgraded.
    assert [name for name, each in made.items() if "sync" not in each] == [
        "order-lifecycle-migrate",
        "order-lifecycle-cli",
    ]


@pytest.mark.parametrize("profiles", [(), ("dev",), ("dev", "kustomize")], ids="+".join)
def test_development_leaves_the_cluster_of_kubectl_s_context_alone(profiles: tuple[str, ...]) -> None:
    assert [with_profile(config, *profiles)["deploy"]["kubeContext"] for config in CONFIGS] == [kind.CONTEXT] * 2


def test_production_is_where_kubectl_s_context_is() -> None:
    assert "kubeContext" not in with_profile(ORDERS_CONFIG, "prod")["deploy"]
    assert [each for each in ORDERS_CONFIG["profiles"] if "kubeContext" in each.get("deploy", {})] == []


def test_the_profile_of_development_comes_with_its_command() -> None:
    (dev,) = (each for each in ORDERS_CONFIG["profiles"] if each["name"] == "dev")
    assert dev["activation"] == [{"command": "dev"}]


def test_nothing_scales_by_itself_in_development(chart: Chart) -> None:
    made = chart.render(file="dev")
    assert of_kind(made, "HorizontalPodAutoscaler") == of_kind(made, "ScaledObject") == []
    assert {each["spec"]["replicas"] for each in of_kind(made, "Deployment")} == {1}


def test_forwarded_ports_are_of_services_that_there_are(chart: Chart, kubectl: str) -> None:
    services = of_kind([*chart.render(file="dev"), *built(kubectl, SERVICES)], "Service")
    served = {(each["metadata"]["name"], port["port"]) for each in services for port in each["spec"]["ports"]}
    forwarded = [each for config in CONFIGS for each in config["portForward"]]
    assert {(each["resourceName"], each["port"]) for each in forwarded} <= served
    assert [each["localPort"] for each in forwarded] == [8233, 8000]


def test_production_gets_none_of_the_dev_services_and_values_of_its_own() -> None:
    assert with_profile(SERVICES_CONFIG, "prod").keys() == {"apiVersion", "kind", "metadata", "build"}
    assert artifacts(with_profile(SERVICES_CONFIG, "prod")) == {}
    made = with_profile(ORDERS_CONFIG, "prod")
    assert made["build"]["local"]["push"] is True
    assert "portForward" not in made
    (file,) = made["deploy"]["helm"]["releases"][0]["valuesFiles"]
    assert "fail" in file
    assert "ORDERS_VALUES" in file


def test_without_helm_the_same_is_deployed_by_kustomize() -> None:
    made = with_profile(ORDERS_CONFIG, "kustomize")
    assert made["manifests"]["kustomize"]["paths"] == ["infra/k8s/overlays/dev"]
    assert "helm" not in made["deploy"]
