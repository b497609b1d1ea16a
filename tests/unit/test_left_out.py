"""What is not in the archive for AWS Lambda."""

from __future__ import annotations

import re
from importlib.metadata import files

import pytest

from infra.kind import ROOT
from infra.lambda_zip import LOCK
from infra.left_out import FILES, PACKAGES, why

LOCKED = re.findall(r"^([\w.-]+)==", LOCK.read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def paths() -> list[str]:
    """All that the locked packages and our own bring along."""
    installed = [str(path) for name in LOCKED for path in files(name) or []]
    return [
        *(path.replace("../../../bin/", "bin/") for path in installed),
        *(path.relative_to(ROOT).as_posix() for path in ROOT.glob("[a-z]*/*.py")),
    ]


def test_each_package_that_is_left_out_is_locked() -> None:
    assert set(PACKAGES) <= set(LOCKED)


@pytest.mark.parametrize("pattern", FILES)
def test_each_rule_leaves_something_out(pattern: str, paths: list[str]) -> None:
    assert any(re.match(pattern, path) for path in paths)


def test_every_licence_stays(paths: list[str]) -> None:
    licences = [path for path in paths if re.search(r"\.dist-info/.*(LICEN[CS]E|NOTICE|COPYING)", path)]
    assert len(licences) > 30
    assert [path for path in licences if why(path)] == []


def test_why_a_file_is_left_out_is_told() -> None:
    assert why("sqlalchemy/dialects/mysql/base.py") == "other databases"
    assert why("sqlalchemy/dialects/postgresql/base.py") is None
    assert why("api/tests_of_ours.py") is None
