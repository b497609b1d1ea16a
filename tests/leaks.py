"""``python -m tests.leaks`` (``make secrets``) looks for secrets in what git remembers and what is not committed yet.

By MongoDB's Kingfisher, which asks nobody whether what it finds is good for anything. What git ignores is left alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.fetched import CACHE, Missing, reason
from infra.kind import ROOT
from tests.environments import python_of

CONFIG = ROOT / "tests" / "kingfisher.yaml"
NOTHING_FOUND, FOUND = 0, 200
"""Kingfisher's exit codes; others say that it could not look."""


@dataclass(frozen=True)
class Search:
    """How many commits were looked at, and what was found: each a line that names the place and not the secret."""

    commits: int
    found: list[str]


def search(repository: Path) -> Search:
    """Look through a git repository, and the files there that are not committed.

    Raises:
        Missing: Kingfisher can't be installed.
        subprocess.SubprocessError: that is no git repository, or Kingfisher failed.
    """
    history = _git(repository, "rev-parse", "--path-format=absolute", "--git-common-dir")[0]
    command = [python_of("secrets"), "-m", "kingfisher", "scan", history, *_not_committed(repository)]
    options = ["--no-validate", "--no-update-check", "--redact", "--quiet", "--format=json", f"--config={CONFIG}"]
    # To compile its rules takes it longer than to look.
    rules = CACHE / "secrets" / "rules"
    done = subprocess.run(
        [*command, *options],
        cwd=repository,
        env=os.environ | {"KF_RULE_CACHE_DIR": str(rules)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (NOTHING_FOUND, FOUND):
        raise subprocess.CalledProcessError(done.returncode, command, stderr=done.stderr or done.stdout)
    told = json.loads(done.stdout)
    commits = next(each["git"]["fetched_commit_count"] for each in told["audit"]["repositories"] if "git" in each)
    return Search(commits, sorted(set(_lines(told["findings"]))))


def _not_committed(repository: Path) -> list[str]:
    changed = _git(repository, "diff", "--name-only", "--relative", "HEAD")
    new = _git(repository, "ls-files", "--others", "--exclude-standard")
    return [path for path in (*changed, *new) if (repository / path).is_file()]


def _git(repository: Path, *arguments: str) -> list[str]:
    command = ["git", "-C", str(repository), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def _lines(findings: list[dict[str, Any]]) -> Iterator[str]:
    for each in findings:
        found, rule = each["finding"], each["rule"]
        commit = found.get("git_metadata", {}).get("commit", {}).get("id")
        where = f"commit {commit[:12]}" if commit else "not committed"
        yield f"{found['path']}:{found['line']}: {rule['description']} ({rule['name']}; {where})"


def main() -> int:
    """Look, say what was found, and return the exit code."""
    try:
        done = search(ROOT)
    except Missing as error:
        print(error, file=sys.stderr)
        return 2
    except subprocess.SubprocessError as error:
        print(f"secrets can't be looked for: {reason(error)}", file=sys.stderr)
        return 2
    print(*done.found, sep="\n", end="\n" if done.found else "")
    if done.found:
        print("have what is valid revoked: git keeps it, and so may others; tests/kingfisher.yaml is for what is none")
    else:
        print(f"secrets: none in {done.commits} commits, nor in what is not committed")
    return 1 if done.found else 0


if __name__ == "__main__":
    sys.exit(main())
