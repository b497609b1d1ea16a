"""``python -m infra.manifests`` renders the chart into ``infra/k8s/base``: what ``make manifests`` does.

A file for each part of the system, without what only Helm needs: its labels, and names that follow from a hash.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from infra import kubernetes_tools
from infra.fetched import Missing
from infra.kind import CHART, K8S, NAMESPACE, RELEASE

BASE = K8S / "base"
HEAD = "# Rendered from the chart by `make manifests`: change infra/k8s/values.yaml, the chart, or an overlay.\n"
OF_HELM = ("helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version")
"""Labels that say who installed an object, and from which chart."""


def files(helm: str) -> dict[str, str]:
    """Render the base: the name of each file, and its text.

    Args:
        helm: The program.
    """
    command = [helm, "template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--values", str(K8S / "values.yaml")]
    rendered = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    parts: dict[str, list[dict[str, Any]]] = {}
    for manifest in yaml.safe_load_all(rendered):
        if manifest:
            parts.setdefault(_part(manifest), []).append(_plain(manifest))
    index = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(parts),
    }
    return {"kustomization.yaml": _text([index])} | {name: _text(manifests) for name, manifests in parts.items()}


def _part(manifest: dict[str, Any]) -> str:
    labels = manifest["metadata"]["labels"]
    names = (labels.get("app.kubernetes.io/component"), labels.get("order-lifecycle/worker"))
    return "-".join(filter(None, names)) + ".yaml"


def _plain(manifest: dict[str, Any]) -> dict[str, Any]:
    metadata = manifest["metadata"]
    del metadata["namespace"]
    for label in OF_HELM:
        metadata["labels"].pop(label, None)
    if manifest["kind"] == "Job":
        # A Job can't be changed. The overlays put the tag of its image behind its name.
        metadata["name"] = f"{metadata['name'].rpartition('-')[0]}-0"
    return manifest


def _text(manifests: list[dict[str, Any]]) -> str:
    return HEAD + "---\n".join(yaml.safe_dump(each, sort_keys=False, width=120) for each in manifests)


def stale(helm: str, folder: Path = BASE) -> Iterator[str]:
    """Name the files that are not as the chart is now, or that nothing makes any more."""
    made = files(helm)
    for name in made.keys() | {path.name for path in folder.iterdir()}:
        if not (folder / name).exists() or (folder / name).read_text() != made.get(name):
            yield name


def main() -> int:
    """Write the base anew."""
    try:
        made = files(kubernetes_tools.helm())
    except Missing as error:
        print(error, file=sys.stderr)
        return 2
    BASE.mkdir(exist_ok=True)
    for path in BASE.iterdir():
        path.unlink()
    for name, text in made.items():
        (BASE / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
