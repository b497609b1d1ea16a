"""Migrations expand first: the code of the release before works with today's schema, since both run for a while."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.earlier import Unknown, commit, run_tests, unpack

TESTS = ("tests/integration/test_ledger.py", "tests/integration/test_stock.py")


def test_the_release_before_passes_its_tests_of_the_ledger_on_todays_schema(tmp_path: Path) -> None:
    try:
        earlier = commit()
    except Unknown as reason:
        pytest.skip(str(reason))
    unpack(earlier, tmp_path)
    done = run_tests(tmp_path, *TESTS)
    assert done.returncode == 0, (
        f"{earlier} does not work with the schema of today:\n{done.stdout[-4000:]}{done.stderr}"
    )
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    print(f"{earlier}: {passed[0]}")
