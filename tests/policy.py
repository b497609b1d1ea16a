"""``python -m tests.policy`` (``make policy``) has checkov look at what the chart makes, and at the Dockerfile.

checkov can't be installed beside what the project needs, and gets an environment of its own in ``.cache``, from
``requirements/checkov.txt``. It asks nobody on the network.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from infra import kubernetes_tools
from infra.fetched import CACHE, Missing, once, reason, run
from infra.kind import ROOT
from tests.deploy.charts import Chart

REQUIREMENTS = ROOT / "requirements" / "checkov.txt"
CONFIG = ROOT / "tests" / "checkov.yaml"
DOCKERFILE = ROOT / "Dockerfile"
VALUES = ("default", "full")
"""The values files in ``ci/`` of which it looks at what they make."""
PATIENCE = 600.0
"""How long, in seconds, its hundred packages may take to come."""


def checkov() -> list[str]:
    """Give the command that runs checkov, which is installed if it is not yet.

    Raises:
        Missing: it can't be installed.
    """
    folder = CACHE / "checkov" / hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    try:
        once(folder, ("environment",), _install)
    except subprocess.SubprocessError as error:
        raise Missing(f"checkov can't be installed by pip: {reason(error)}") from error
    # An environment that was moved has scripts that name the old place, but an interpreter that works.
    return [str(folder / "environment" / "bin" / "python"), "-m", "checkov.main"]


def _install(folder: Path) -> None:
    run([sys.executable, "-m", "venv", "environment"], folder)
    pip = [str(folder / "environment" / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    run([*pip, "--disable-pip-version-check", "--require-hashes", "-r", str(REQUIREMENTS)], folder, PATIENCE)


def main() -> int:
    """Check, and return checkov's exit code."""
    try:
        command, chart = checkov(), Chart(kubernetes_tools.helm())
    except Missing as error:
        print(error, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name:
        for values in VALUES:
            (Path(name) / f"{values}.yaml").write_text(yaml.safe_dump_all(chart.render(file=values)))
        files = [*sorted(Path(name).iterdir()), *([DOCKERFILE] if DOCKERFILE.exists() else [])]
        command += ["--config-file", str(CONFIG), *(f"--file={file}" for file in files)]
        code = subprocess.run(command, check=False).returncode
    print(f"checkov: {len(files)} files, {'see above' if code else 'nothing to object'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
