"""``python -m tests.policy`` (``make policy``) has checkov look at the chart, the Dockerfile and the function.

It asks nobody on the network.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from infra import kubernetes_tools
from infra.fetched import Missing
from infra.kind import ROOT
from tests.deploy.charts import Chart
from tests.environments import python_of

CONFIG = ROOT / "tests" / "checkov.yaml"
DOCKERFILE = ROOT / "Dockerfile"
TEMPLATES = ROOT / "infra" / "lambda"
VALUES = ("default", "full")
"""The values files in ``ci/`` of which it looks at what they make."""


def main() -> int:
    """Check, and return checkov's exit code."""
    try:
        command, chart = [python_of("checkov"), "-m", "checkov.main"], Chart(kubernetes_tools.helm())
    except Missing as error:
        print(error, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name:
        for values in VALUES:
            (Path(name) / f"{values}.yaml").write_text(yaml.safe_dump_all(chart.render(file=values)))
        files = [*sorted(Path(name).iterdir()), DOCKERFILE, *sorted(TEMPLATES.glob("*.yaml"))]
        command += ["--config-file", str(CONFIG), *(f"--file={file}" for file in files)]
        code = subprocess.run(command, check=False).returncode
    print(f"checkov: {len(files)} files, {'see above' if code else 'nothing to object'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
