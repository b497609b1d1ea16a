"""``python -m infra.lambda_deploy NAME`` (``make lambda-deploy TO=NAME``) deploys the API as a function, by ``sam``.

It takes the zip of the Python and the processor that ``infra/lambda/samconfig.toml`` names, and marks it with what it
is deployed with: SAM publishes a version of a function when its code has changed, but not when the value of a parameter
has (aws/serverless-application-model, issue 3820), and the gateway would go on calling the one with the old settings.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from infra.kind import ROOT

TEMPLATES = ROOT / "infra" / "lambda"
ZIPS = ROOT / "dist" / "lambda"
FUNCTION = ZIPS / "function.zip"
"""The zip that the template names."""


class Unusable(Exception):
    """Something is missing that is needed; the text is one line that says what to do."""


def environments(config: Path = TEMPLATES / "samconfig.toml") -> dict[str, dict[str, str]]:
    """Read the parameters of each environment, by their names."""
    read = tomllib.loads(config.read_text())
    given = {name: value["deploy"]["parameters"] for name, value in read.items() if isinstance(value, dict)}
    return {
        name: dict(each.split("=", 1) for each in value.get("parameter_overrides", ())) for name, value in given.items()
    }


def zip_for(parameters: dict[str, str], folder: Path = ZIPS) -> Path:
    """Find the zip of the runtime and the architecture.

    Raises:
        Unusable: it was not built.
    """
    runtime, architecture = parameters["Runtime"], parameters["Architecture"]
    found = folder / f"order-lifecycle-api-{runtime}-{architecture}.zip"
    if not found.exists():
        raise Unusable(f"{found.name} is not in dist/lambda: run make lambda-zip, in an environment of {runtime}")
    return found


def marked(built: Path, parameters: dict[str, str], to: Path = FUNCTION) -> None:
    """Copy a zip, with a comment that changes with the templates and the parameters."""
    told = [
        *(path.read_bytes() for path in sorted(TEMPLATES.glob("*.yaml"))),
        repr(sorted(parameters.items())).encode(),
    ]
    shutil.copyfile(built, to)
    with zipfile.ZipFile(to, "a") as zipped:
        zipped.comment = hashlib.sha256(b"\0".join(told)).hexdigest().encode()


def main() -> int:
    """Deploy, and return ``sam``'s exit code."""
    known = environments()
    name = " ".join(sys.argv[1:])
    if name not in known:
        print(
            f"{name or 'nothing'} is not in infra/lambda/samconfig.toml: choose from {', '.join(known)}",
            file=sys.stderr,
        )
        return 2
    if not (sam := shutil.which("sam")):
        print("sam is not installed: pipx install aws-sam-cli", file=sys.stderr)
        return 2
    try:
        marked(zip_for(known[name]), known[name])
    except Unusable as error:
        print(error, file=sys.stderr)
        return 2
    return subprocess.run([sam, "deploy", "--config-env", name], cwd=TEMPLATES, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
