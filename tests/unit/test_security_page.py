"""SECURITY.md says what is stopped, and each row names tests that are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "SECURITY.md").read_text()
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith("| who ")]
HEAD = "| who | what they try | how it is stopped | which test shows it |"


@cache
def tests_in(file: str) -> set[str]:
    """The names of the tests in a file of the repository."""
    tree = ast.parse((ROOT / file).read_text())
    functions = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {each.name for each in functions if each.name.startswith("test_")}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[2].strip()[:60])
def test_each_threat_names_what_stops_it_and_tests_that_are_there(row: str) -> None:
    _, who, what, how, shown, _ = row.split("|")
    assert all(part.strip() for part in (who, what, how))
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", shown)
    assert named
    assert re.sub(r"`tests/[\w/]+\.py::\w+`|[· ]", "", shown) == "", "a test is named by its file and its function"
    assert [f"{file}::{test}" for file, test in named if not (ROOT / file).exists() or test not in tests_in(file)] == []


def test_every_table_has_these_four_columns() -> None:
    heads = [line for line in TEXT.splitlines() if line.startswith("| who ")]
    assert len(ROWS) > 20
    assert set(heads) == {HEAD}


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", TEXT)
    assert links
    assert [link for link in links if "://" in link or not (ROOT / link).exists()] == []
    assert [file for file in re.findall(r"`(tests/[\w/]+\.py)`", TEXT) if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("section", ["Reporting a weakness", "Supported versions", "Threats", "What is not covered"])
def test_it_has_what_one_looks_for(section: str) -> None:
    assert f"\n## {section}\n" in TEXT
