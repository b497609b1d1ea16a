"""Finds the code of the release before this one, and runs tests of its own against servers of today."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parent.parent
MIGRATIONS = "migrations/versions"
AS_IF_SPREAD = """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    config.workerinput = {"workerid": "earlier"}
"""
"""A plugin by which pytest seems to be a process of pytest-xdist's: the servers are there then, named by the
environment, and its database has a name of its own."""


class Unknown(Exception):
    """The earlier code can't be had; the message says why."""


def commit() -> str:
    """Find the newest release by its tag ``v…``; without one, what was there before the newest migration.

    Raises:
        Unknown: this is no clone, or not all of one.
    """
    if tags := _git("tag", "--list", "v*", "--sort=-version:refname").split():
        return tags[0]
    added = _git("log", "--diff-filter=A", "--format=%H", "-1", "--", MIGRATIONS).strip()
    try:
        return _git("rev-parse", "--verify", "--quiet", f"{added}^").strip()
    except Unknown as error:
        raise Unknown("no tag v…, and nothing before the newest migration: this clone lacks its history") from error


def unpack(commit: str, folder: Path) -> None:
    """Put the files of a commit into a folder."""
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(folder, filter="data")


def run_tests(folder: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """Run tests of the code in a folder, by that code."""
    (folder / "as_if_spread.py").write_text(AS_IF_SPREAD)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "as_if_spread", "-p", "no:cacheprovider", *tests]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COVERAGE_"))}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unknown("git knows nothing of this tree") from error
    return done.stdout
