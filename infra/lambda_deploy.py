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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.elf import MACHINES
from infra.kind import ROOT, Failed

TEMPLATES = ROOT / "infra" / "lambda"
ZIPS = ROOT / "dist" / "lambda"
FUNCTION = ZIPS / "function.zip"
"""The zip that the template names."""


def environments(config: Path = TEMPLATES / "samconfig.toml") -> dict[str, dict[str, str]]:
    """Read the parameters of each environment, by their names.

    Raises:
        Failed: it is not TOML, or a parameter has no value.
    """
    try:
        read = tomllib.loads(config.read_text())
    except tomllib.TOMLDecodeError as error:
        raise Failed(f"infra/lambda/{config.name}: {error}") from error
    return {name: dict(_given(name, value)) for name, value in read.items() if isinstance(value, dict)}


def _given(environment: str, read: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for each in read.get("deploy", {}).get("parameters", {}).get("parameter_overrides", ()):
        name, _, value = each.partition("=")
        if name != name.strip() or not value:
            raise Failed(f"infra/lambda/samconfig.toml: {environment}: write {each!r} as NAME=VALUE, without blanks")
        yield name, value


def zip_for(parameters: dict[str, str], folder: Path = ZIPS) -> Path:
    """Find the zip of the runtime and the architecture.

    Raises:
        Failed: it was not built, or nothing says which it is.
    """
    for name in ("Runtime", "Architecture"):
        if name not in parameters:
            raise Failed(f"infra/lambda/samconfig.toml: {name} is missing: it says which zip to take")
    runtime, architecture = parameters["Runtime"], parameters["Architecture"]
    if architecture not in MACHINES:
        known = ", ".join(MACHINES)
        raise Failed(f"infra/lambda/samconfig.toml: Architecture={architecture}: choose from {known}")
    found = folder / f"order-lifecycle-api-{runtime}-{architecture}.zip"
    if not found.exists():
        raise Failed(f"{found.name} is not in dist/lambda: run make lambda-zip, in an environment of {runtime}")
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


def deploy(name: str) -> int:
    """Deploy an environment, and return ``sam``'s exit code.

    Raises:
        Failed: something is missing that is needed.
    """
    known = environments()
    if name not in known:
        raise Failed(f"TO={name}: choose from {', '.join(known)}, which infra/lambda/samconfig.toml has")
    if not (sam := shutil.which("sam")):
        raise Failed("sam is not installed: pipx install aws-sam-cli")
    marked(zip_for(known[name]), known[name])
    return subprocess.run([sam, "deploy", "--config-env", name], cwd=TEMPLATES, check=False).returncode


def main() -> int:
    """Deploy, and return the exit code."""
    try:
        return deploy(" ".join(sys.argv[1:]))
    except Failed as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
