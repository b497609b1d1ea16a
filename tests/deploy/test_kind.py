"""`make kind-up`, `make deploy` and `make e2e`, as far as they go without a cluster."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra import e2e, kind
from tests.deploy.charts import CHART, FILES
from tests.deploy.documents import Document, one, pods
from tests.deploy.kustomizations import SERVICES, built

TAGS = {target: f"dev-{number:012x}" for number, target in enumerate(kind.IMAGES)}


def rendered(helm: str, *settings: str) -> list[Document]:
    """What a deployment with these settings makes."""
    command = [helm, "template", kind.RELEASE, str(CHART), "--namespace", kind.NAMESPACE, "--values", str(FILES["dev"])]
    made = subprocess.run([*command, *kind.values(TAGS, settings)], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return [each for each in yaml.load_all(made.stdout, Loader=yaml.CSafeLoader) if each]


def run(task: str, folder: Path, **programs: str) -> subprocess.CompletedProcess[str]:
    """Run a task where there are only these programs: which one stands for each."""
    for name, stand_in in programs.items():
        (folder / name).symlink_to(f"/bin/{stand_in}")
    command = [sys.executable, "-m", *task.split()]
    environment = {**os.environ, "PATH": str(folder), "PYTHONPATH": str(kind.ROOT)}
    return subprocess.run(
        command, env=environment, cwd=kind.ROOT, capture_output=True, text=True, check=False, timeout=30
    )


@pytest.mark.parametrize("task", ["infra.kind up", "infra.e2e"])
def test_each_missing_program_is_one_line_that_says_where_it_comes_from(task: str, tmp_path: Path) -> None:
    done = run(task, tmp_path, docker="true", kubectl="true")
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["kind", "helm"]
    assert all("is not on the PATH: https://" in line for line in lines)


def test_an_engine_that_does_not_answer_is_said_before_anything_is_done(tmp_path: Path) -> None:
    done = run("infra.kind up", tmp_path, docker="false", kind="true", helm="true", kubectl="true")
    assert (done.returncode, done.stderr.splitlines()) == (
        1,
        ["docker's engine does not answer: start it, or see `docker info`"],
    )


def test_a_command_that_fails_ends_it_with_one_line(tmp_path: Path) -> None:
    done = run("infra.kind up", tmp_path, docker="true", kind="false", helm="true", kubectl="true")
    assert (done.returncode, done.stderr.splitlines()) == (1, ["kind get clusters … ended with 1: "])


def test_e2e_leaves_a_cluster_alone_that_was_there_before(tmp_path: Path) -> None:
    (tmp_path / "kind").write_text("#!/bin/sh\necho other; echo orders\n")
    (tmp_path / "kind").chmod(0o755)
    done = run("infra.e2e", tmp_path, docker="true", helm="true", kubectl="true")
    assert (done.returncode, done.stderr.splitlines()) == (
        1,
        ["the cluster orders is there, and would be deleted with its data: make kind-down first"],
    )


def test_a_release_that_does_not_get_ready_says_where_to_look(tmp_path: Path) -> None:
    done = run("infra.kind deploy", tmp_path, docker="true", kind="true", helm="false", kubectl="true")
    *_, failed, advice = done.stderr.splitlines()
    assert (done.returncode, failed) == (1, "helm --kube-context kind-orders … ended with 1")
    assert "logs POD --previous` says why one does not start" in advice


def test_nobody_knows_the_database_s_password_beforehand() -> None:
    one, other = kind.database_secret()["stringData"], kind.database_secret()["stringData"]
    assert one["password"] != other["password"]
    assert len(one["password"]) >= 32
    # It stands in a URL as it is.
    assert re.fullmatch(r"[\w-]+", one["password"])
    assert one["password"] in one["url"]


def test_the_cluster_leads_to_the_api_s_front_door_on_the_loopback_only(kubectl: str) -> None:
    cluster = yaml.safe_load((kind.K8S / "kind.yaml").read_text())
    assert (cluster["apiVersion"], cluster["kind"], cluster["name"]) == (
        "kind.x-k8s.io/v1alpha4",
        "Cluster",
        kind.CLUSTER,
    )
    assert [node["role"] for node in cluster["nodes"]] == ["control-plane", "worker", "worker"]
    (mapping,) = (each for node in cluster["nodes"] for each in node.get("extraPortMappings") or ())
    assert mapping["listenAddress"] == "127.0.0.1"
    assert f"http://127.0.0.1:{mapping['hostPort']}" == e2e.API
    (port,) = one(built(kubectl, SERVICES), "Service", "front-door")["spec"]["ports"]
    assert mapping["containerPort"] == port["nodePort"]


def test_every_pod_runs_the_image_that_was_built_for_it(helm: str) -> None:
    images = {container["image"] for pod in pods(rendered(helm)) for container in pod.containers}
    assert images == {f"order-lifecycle-{target}:{tag}" for target, tag in TAGS.items()}


def test_the_upgrade_of_e2e_replaces_every_pod(helm: str) -> None:
    def templates(settings: tuple[str, ...]) -> dict[str, Any]:
        made = [pod for pod in pods(rendered(helm, *settings)) if pod.component in {"api", "worker"}]
        return {pod.owner["metadata"]["name"]: (pod.metadata, pod.spec) for pod in made}

    before, after = templates(e2e.FIRST), templates(e2e.SECOND)
    assert before.keys() == after.keys()
    assert len(before) == 4
    assert [name for name in before if before[name] == after[name]] == []


def test_workflows_and_documents_name_targets_that_there_are() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (kind.ROOT / "Makefile").read_text(), re.MULTILINE))
    places = [*(kind.ROOT / ".github" / "workflows").glob("*.yml"), kind.ROOT / "docs" / "deploy.md"]
    command = re.compile(r"(?:^|`|run: )make ([a-z0-9-]+)", re.MULTILINE)
    named = {name for path in places for name in command.findall(path.read_text())}
    assert {"e2e", "kind-up", "deploy", "kind-down"} <= named <= targets
