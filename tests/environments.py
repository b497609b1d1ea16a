"""Tools that can't be installed beside what the project needs: each has an environment of its own in ``.cache``."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from functools import partial
from pathlib import Path

from infra.fetched import CACHE, Missing, once, reason, run
from infra.kind import ROOT

PATIENCE = 600.0
"""How long, in seconds, a hundred packages may take to come."""


def python_of(tool: str) -> str:
    """Give the interpreter of the environment with what ``requirements/TOOL.txt`` locks, made if it is not there yet.

    Raises:
        Missing: it can't be made.
    """
    requirements = ROOT / "requirements" / f"{tool}.txt"
    folder = CACHE / tool / hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    try:
        once(folder, ("environment",), partial(_install, requirements))
    except subprocess.SubprocessError as error:
        raise Missing(f"{tool} can't be installed by pip: {reason(error)}") from error
    # An environment that was moved has scripts that name the old place, but an interpreter that works.
    return str(folder / "environment" / "bin" / "python")


def _install(requirements: Path, folder: Path) -> None:
    run([sys.executable, "-m", "venv", "environment"], folder)
    pip = [str(folder / "environment" / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    run([*pip, "--disable-pip-version-check", "--require-hashes", "-r", str(requirements)], folder, PATIENCE)
