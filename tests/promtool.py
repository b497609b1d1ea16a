"""Prometheus' ``promtool``: this machine's own, or Debian's, which is unpacked here and not installed.

``python -m tests.promtool`` checks the alert rules and runs their tests: what ``make alerts`` does.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".cache" / "promtool"
ALERTS = ROOT / "infra" / "helm" / "order-lifecycle" / "files" / "alerts.yaml"
CASES = sorted((ROOT / "tests" / "deploy").glob("*_test.yaml"))
PATIENCE = 120.0
"""How long, in seconds, Debian's package may take to come."""


class Missing(Exception):
    """There is no promtool; the text is one line that says what to do."""


def find() -> str:
    """Find promtool where ``PROMTOOL`` says, on the path, or in the folder into which it is unpacked.

    Raises:
        Missing: it is nowhere, and can't be fetched.
    """
    named = os.environ.get("PROMTOOL") or "promtool"
    if found := shutil.which(named) or shutil.which(CACHE / "promtool"):
        return found
    if os.environ.get("PROMTOOL"):
        raise Missing(f"PROMTOOL: {named} can't be run: name the program, or nothing to have it fetched")
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise Missing(
            "promtool is not on the PATH, and there is no apt to fetch it: install Prometheus, or set PROMTOOL"
        )
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        # Tests in several processes want it at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (CACHE / "promtool").exists():
            _unpack()
    return str(CACHE / "promtool")


def _unpack() -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        folder = Path(name)
        # Lists of packages of our own where the machine has none, or old ones: its own are root's to renew.
        (folder / "lists" / "partial").mkdir(parents=True)
        own = [f"-oDir::State::Lists={folder / 'lists'}", f"-oDir::Cache={folder}", "-oDebug::NoLocking=true"]
        try:
            try:
                _run(["apt-get", "download", "prometheus"], folder)
            except subprocess.CalledProcessError:
                _run(["apt-get", *own, "update"], folder)
                _run(["apt-get", *own, "download", "prometheus"], folder)
            (package,) = folder.glob("prometheus_*.deb")
            _run(["dpkg-deb", "--extract", str(package), str(folder / "unpacked")], folder)
        except (subprocess.SubprocessError, ValueError) as error:
            said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1]
            raise Missing(f"promtool can't be fetched by apt: {said}: install Prometheus, or set PROMTOOL") from error
        (folder / "unpacked" / "usr" / "bin" / "promtool").replace(CACHE / "promtool")


def _run(command: Sequence[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=PATIENCE)


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
