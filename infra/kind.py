"""``python3 -m infra.kind up|secrets|deploy|test|logs|down``: the system on a cluster of this machine, by kind.

What `make kind-up`, `make deploy` and `make kind-down` do. It needs docker, kind, helm and kubectl, and no
package but Python's own. No cluster but the one that it makes is touched, whatever kubectl's current context is;
only ``secrets``, which Skaffold runs, goes where Skaffold goes (its ``SKAFFOLD_KUBE_CONTEXT``).
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
K8S = ROOT / "infra" / "k8s"
CHART = ROOT / "infra" / "helm" / "order-lifecycle"
CLUSTER = NAMESPACE = RELEASE = "orders"
CONTEXT = f"kind-{CLUSTER}"
SECRET = "order-lifecycle-database"  # noqa: S105 - its name
NEEDED = {
    "docker": "https://docs.docker.com/engine/install/",
    "kind": "https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
    "helm": "https://helm.sh/docs/intro/install/",
    "kubectl": "https://kubernetes.io/docs/tasks/tools/",
}
"""The programs, and where each comes from."""
IMAGES = {"api": "api", "worker": "workerDefaults", "migrate": "migrations", "cli": "tests"}
"""The targets of the Dockerfile that a release is made of, and the values of the chart that name their images."""
PATIENCE = "5m"
"""How long, as kubectl and Helm write it, servers and pods may take until they are ready."""


class Failed(Exception):
    """What was asked for can't be done; the text says why, line by line."""


def check_tools() -> None:
    """Look for the programs that are needed, and for docker's engine.

    Raises:
        Failed: some are missing, one a line, or docker's engine does not answer.
    """
    if missing := [f"{name} is not on the PATH: {where}" for name, where in NEEDED.items() if not shutil.which(name)]:
        raise Failed("\n".join(missing))
    try:
        answer("docker", "info")
    except Failed as error:
        raise Failed("docker's engine does not answer: start it, or see `docker info`") from error


def run(*command: str, given: str | None = None) -> None:
    """Run a command whose output the user sees.

    Raises:
        Failed: it ended with an error.
    """
    print("+", *command, file=sys.stderr, flush=True)
    if code := subprocess.run(command, cwd=ROOT, input=given, text=True, check=False).returncode:
        raise Failed(f"{' '.join(command[:3])} … ended with {code}")


def answer(*command: str) -> str:
    """Run a command, and return what it says.

    Raises:
        Failed: it ended with an error.
    """
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(command[:3])} … ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


def kubectl(*arguments: str, context: str = CONTEXT, given: str | None = None) -> None:
    """Run kubectl on the cluster."""
    run("kubectl", "--context", context, *arguments, given=given)


def up(node_image: str) -> None:
    """Make the cluster, unless it is there, with what the system needs: its namespace, a Secret, the dev services."""
    if not is_there():
        image = ["--image", node_image] if node_image else []
        run("kind", "create", "cluster", "--config", str(K8S / "kind.yaml"), "--wait", PATIENCE, *image)
    make_secret(CONTEXT)
    # Of all images only this one stays under the same tag: the server keeps its state, and rarely changes.
    build("temporal")
    load(["order-lifecycle-temporal:dev"])
    kubectl("apply", "-k", str(K8S / "dev-services"))
    with _explained():
        for workload in ("statefulset/postgres", "statefulset/temporal", "deployment/otel-collector"):
            kubectl("rollout", "status", "--namespace", NAMESPACE, "--timeout", PATIENCE, workload)


@contextmanager
def _explained() -> Iterator[None]:
    """Show how the pods are where they are not ready in time, and say where there is more."""
    try:
        yield
    except Failed as error:
        of = ["kubectl", "--context", CONTEXT, "--namespace", NAMESPACE]
        subprocess.run([*of, "get", "pods"], check=False)
        why = f"`{' '.join(of)} logs POD --previous` says why one does not start"
        raise Failed(f"{error}\n{why}; `python3 -m infra.kind logs` collects all there is") from error


def is_there() -> bool:
    """Whether the cluster is."""
    return CLUSTER in answer("kind", "get", "clusters").split()


def make_secret(context: str) -> None:
    """Make the namespace, and the Secret with the URL of the database, unless they are there."""
    kubectl("apply", "--filename", str(K8S / "namespace.yaml"), context=context)
    found = answer(
        *("kubectl", "--context", context, "get", "secret", "--namespace", NAMESPACE),
        *("--ignore-not-found", "--output", "name", SECRET),
    )
    if not found:
        # The password goes through a pipe: the arguments of a process are there for all to see.
        kubectl("create", "--filename", "-", context=context, given=json.dumps(database_secret()))


def database_secret() -> dict[str, Any]:
    """Give a Secret with a password of its own for PostgreSQL of the dev services, and the URL that the chart wants."""
    password = secrets.token_urlsafe(24)
    url = f"postgresql://orders:{password}@postgres:5432/orders"
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET, "namespace": NAMESPACE},
        "stringData": {"password": password, "url": url},
    }


def build(target: str) -> str:
    """Build a target of the Dockerfile, and return its image's id: of 12 digits, the same while its content is."""
    image = f"order-lifecycle-{target}"
    # What says when it was built is part of an image, too, and would make another one of each build.
    os.environ["BUILDX_NO_DEFAULT_ATTESTATIONS"] = "1"
    run("docker", "build", "--target", target, "--tag", f"{image}:dev", ".")
    return answer("docker", "image", "inspect", "--format", "{{.Id}}", f"{image}:dev").removeprefix("sha256:")[:12]


def load(images: Sequence[str]) -> None:
    """Put images onto the nodes of the cluster."""
    run("kind", "load", "docker-image", "--name", CLUSTER, *images)


def deploy(settings: Sequence[str] = ()) -> None:
    """Build the images, and install the chart or upgrade its release.

    Pods whose image and settings are the same stay: a tag is the id of its image.

    Args:
        settings: Further values, as Helm's ``--set`` takes them.
    """
    tags = {target: f"dev-{build(target)}" for target in IMAGES}
    for target, tag in tags.items():
        run("docker", "tag", f"order-lifecycle-{target}:dev", f"order-lifecycle-{target}:{tag}")
    load([f"order-lifecycle-{target}:{tag}" for target, tag in tags.items()])
    with _explained():
        run(
            *("helm", "--kube-context", CONTEXT, "upgrade", "--install", RELEASE, str(CHART), "--namespace", NAMESPACE),
            *("--values", str(CHART / "ci" / "dev-values.yaml"), "--wait", "--wait-for-jobs", "--timeout", PATIENCE),
            *values(tags, settings),
        )


def values(tags: dict[str, str], settings: Sequence[str] = ()) -> list[str]:
    """Give Helm's arguments for the tag of each target's image, and for further values."""
    named = (f"--set-string={IMAGES[target]}.image.tag={tag}" for target, tag in tags.items())
    return [*named, *(f"--set={setting}" for setting in settings)]


def test() -> None:
    """Have the release place an order and wait until it is delivered."""
    run("helm", "--kube-context", CONTEXT, "test", RELEASE, "--namespace", NAMESPACE, "--logs", "--timeout", PATIENCE)


def logs(folder: Path) -> None:
    """Collect what tells why something failed: the nodes' and all containers' logs, and what the namespace has."""
    folder.mkdir(parents=True, exist_ok=True)
    for what in ("events", "all,networkpolicies,pvc", "pods"):
        asked = ["describe", "pods"] if what == "pods" else ["get", what, "--output", "wide"]
        command = ["kubectl", "--context", CONTEXT, "--namespace", NAMESPACE, *asked]
        with (folder / f"{what.partition(',')[0]}.txt").open("w") as file:
            subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)
    run("kind", "export", "logs", "--name", CLUSTER, str(folder))


def down() -> None:
    """Delete the cluster, with all data in it."""
    run("kind", "delete", "cluster", "--name", CLUSTER)


def attempt(task: Callable[[], None]) -> int:
    """Do something if its programs are there, and return the code that the process ends with."""
    try:
        check_tools()
        task()
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def main() -> int:
    """Do what the arguments say."""
    tasks: dict[str, Callable[[], None]] = {
        "up": lambda: up(os.environ.get("KIND_IMAGE", "")),
        # For `skaffold dev`, on whatever cluster it uses.
        "secrets": lambda: make_secret(os.environ.get("SKAFFOLD_KUBE_CONTEXT") or CONTEXT),
        "deploy": deploy,
        "test": test,
        "logs": lambda: logs(ROOT / ".cache" / "kind-logs"),
        "down": down,
    }
    parser = argparse.ArgumentParser(prog="python3 -m infra.kind", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("task", choices=tasks)
    return attempt(tasks[parser.parse_args().task])


if __name__ == "__main__":
    sys.exit(main())
