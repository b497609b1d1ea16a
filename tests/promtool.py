"""Prometheus' ``promtool``: this machine's own, or Debian's, which is unpacked here and not installed.

``python -m tests.promtool`` checks the alert rules and runs their tests: what ``make alerts`` does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from infra.fetched import CACHE, Missing, once, reason, run
from infra.kind import ROOT

FOLDER = CACHE / "promtool"
ALERTS = ROOT / "infra" / "helm" / "order-lifecycle" / "files" / "alerts.yaml"
CASES = sorted((ROOT / "tests" / "deploy").glob("*_test.yaml"))


def find() -> str:
    """Find promtool where ``PROMTOOL`` says, on the path, or in the folder into which it is unpacked.

    Raises:
        Missing: it is nowhere, and can't be fetched.
    """
    named = os.environ.get("PROMTOOL") or "promtool"
    if found := shutil.which(named) or shutil.which(FOLDER / "promtool"):
        return found
    if os.environ.get("PROMTOOL"):
        raise Missing(f"PROMTOOL: {named} can't be run: name the program, or nothing to have it fetched")
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise Missing(
            "promtool is not on the PATH, and there is no apt to fetch it: install Prometheus, or set PROMTOOL"
        )
    try:
        once(FOLDER, ("promtool",), _unpack)
    except (subprocess.SubprocessError, ValueError) as error:
        said = reason(error)
        raise Missing(f"promtool can't be fetched by apt: {said}: install Prometheus, or set PROMTOOL") from error
    return str(FOLDER / "promtool")


def _unpack(folder: Path) -> None:
    # Lists of packages of our own where the machine has none, or old ones: its own are root's to renew.
    (folder / "lists" / "partial").mkdir(parents=True)
    own = [f"-oDir::State::Lists={folder / 'lists'}", f"-oDir::Cache={folder}", "-oDebug::NoLocking=true"]
    try:
        run(["apt-get", "download", "prometheus"], folder)
    except subprocess.CalledProcessError:
        run(["apt-get", *own, "update"], folder)
        run(["apt-get", *own, "download", "prometheus"], folder)
    (package,) = folder.glob("prometheus_*.deb")
    run(["dpkg-deb", "--extract", str(package), str(folder / "unpacked")], folder)
    (folder / "unpacked" / "usr" / "bin" / "promtool").rename(folder / "promtool")


def main() -> int:
    """Check the rules, and run their tests."""
    try:
        promtool = find()
    except Missing as error:
        print(error, file=sys.stderr)
        return 2
    for what, files in (("check", [ALERTS]), ("test", CASES)):
        if code := subprocess.run([promtool, what, "rules", *files], check=False).returncode:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
