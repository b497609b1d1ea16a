"""What kubectl makes of the folders in ``infra/k8s``; each is built once in a process."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

import yaml

from infra.kind import K8S
from tests.deploy.documents import Document

DEV, PROD, SERVICES = (K8S / folder for folder in ("overlays/dev", "overlays/prod", "dev-services"))
PATIENCE = 30.0
"""How long, in seconds, one may take."""


@functools.cache
def built(kubectl: str, folder: Path) -> list[Document]:
    """Give the objects of a folder."""
    command = [kubectl, "kustomize", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
    return list(yaml.load_all(made, Loader=yaml.CSafeLoader))
