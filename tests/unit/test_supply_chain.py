"""What builds the project stays what it was, and what a linter says of security is passed over for a reason only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SOURCES = [
    path
    for name in ("api", "benchmarks", "cli", "infra", "migrations", "orders", "workers")
    for path in (ROOT / name).rglob("*.py")
]


def steps(workflow: Path) -> list[dict[str, Any]]:
    return [step for job in yaml.safe_load(workflow.read_text())["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: str(path.stem))
def test_actions_are_pinned_by_a_hash_beside_the_version_that_it_is(workflow: Path) -> None:
    used = [line for line in workflow.read_text().splitlines() if "uses:" in line]
    assert used
    assert [
        line for line in used if not re.fullmatch(r" +(- )?uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)
    ] == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: str(path.stem))
def test_a_workflow_may_read_and_keeps_no_credentials(workflow: Path) -> None:
    document = yaml.safe_load(workflow.read_text())
    assert document["permissions"] == {"contents": "read"}
    assert not [job for job in document["jobs"].values() if "permissions" in job]
    checkouts = [step for step in steps(workflow) if step.get("uses", "").startswith("actions/checkout@")]
    assert [step["with"]["persist-credentials"] for step in checkouts] == [False]


def test_a_rule_of_security_is_passed_over_for_a_reason_that_stands_beside_it() -> None:
    lines = [line for path in SOURCES for line in path.read_text().splitlines()]
    passed_over = [line for line in lines if re.search(r"# noqa: .*\bS\d{3}", line)]
    assert len(passed_over) > 5
    assert [line for line in passed_over if not re.search(r"# noqa: [A-Z0-9, ]+ - \w", line)] == []
