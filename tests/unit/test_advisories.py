"""A known vulnerability of a locked package is named with what mends it, unless it is let be for a while."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.fetched import Missing
from tests import advisories
from tests.advisories import Accepted, Vulnerability, accepted, objections, pins
from tests.environments import python_of
from tests.scripted_api import Answer, ScriptedApi

TODAY = datetime.date(2026, 11, 23)
HOLE = Vulnerability("shop==1.0", ("CVE-1", "GHSA-1"), ("1.1", "2.0"), ("api.txt", "dev.txt"))
NOTHING: dict[str, Any] = {}


def advisory(package: str, *mended: str) -> dict[str, Any]:
    """Give what OSV answers (Open Source Vulnerability format, version 1)."""
    events = [{"introduced": "0"}, *({"fixed": version} for version in mended)]
    affected = {
        "package": {"name": package, "ecosystem": "PyPI"},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
    }
    return {"vulns": [{"id": "GHSA-1", "aliases": ["CVE-1"], "summary": "a hole", "affected": [affected]}]}


@pytest.fixture
def osv() -> Iterator[ScriptedApi]:
    with ScriptedApi() as found:
        yield found


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    (tmp_path / "api.txt").write_text("# by somebody\nshop==1.0 \\\n    --hash=sha256:aa\nsafe==3.0\n")
    (tmp_path / "dev.txt").write_text("shop==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:aa\nsafe==2.0\n")
    return tmp_path


def test_each_package_is_asked_for_once_in_each_of_its_versions_and_for_all_machines(locks: Path) -> None:
    assert pins(locks) == {"shop==1.0": {"api.txt", "dev.txt"}, "safe==2.0": {"dev.txt"}, "safe==3.0": {"api.txt"}}


def audited(osv: ScriptedApi, locks: Path, monkeypatch: pytest.MonkeyPatch, *answers: Answer) -> int:
    osv.answers = [*answers]
    monkeypatch.setattr(advisories, "LOCKS", locks)
    monkeypatch.setattr(advisories, "SOURCES", {"OSV": ("osv", f"--osv-url={osv.url}")})
    try:
        python_of("audit")
    except Missing as error:
        pytest.skip(str(error))
    return advisories.main()


def test_a_vulnerability_is_told_with_the_versions_that_mend_it_and_the_locks_to_renew(
    locks: Path, osv: ScriptedApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = [advisory("jinja2", "2.10.1"), NOTHING, advisory("shop", "1.1", "2.0"), NOTHING]
    assert audited(osv, locks, monkeypatch, *(Answer(200, body) for body in answers)) == 1
    asked = [json.loads(each.body) for each in osv.requests]
    pinned = [(each["package"]["name"], each["version"]) for each in asked]
    assert pinned == [("jinja2", "2.10"), ("safe", "3.0"), ("shop", "1.0"), ("safe", "2.0")]
    assert capsys.readouterr().out.splitlines() == [
        "shop==1.0: CVE-1 (GHSA-1): mended in 1.1 or 2.0: locked in api.txt, dev.txt",
        "3 packages in 2 locks, by OSV: see above",
    ]


@pytest.mark.parametrize("answer", [Answer(200, NOTHING), Answer.LOST])
def test_where_nobody_knows_of_vulnerabilities_nothing_fails_and_that_nothing_was_checked_is_said(
    answer: Answer,
    locks: Path,
    osv: ScriptedApi,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # The first is as a mirror of PyPI may answer, which knows files and no advisories.
    assert audited(osv, locks, monkeypatch, answer) == 0
    assert capsys.readouterr().out.startswith(
        "SKIPPED: no known vulnerability was looked for: none of OSV can be asked"
    )


def test_a_source_that_falls_silent_is_a_failure(
    locks: Path, osv: ScriptedApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audited(osv, locks, monkeypatch, Answer(200, advisory("jinja2", "2.10.1")), Answer(500, NOTHING)) == 2
    assert capsys.readouterr().err.startswith("known vulnerabilities could not be looked for: ")


def test_what_is_accepted_is_let_be_until_its_day_and_told_all_the_same() -> None:
    until = Accepted("CVE-1", "nobody can reach it", TODAY)
    to_mend, let_be = objections([HOLE], [until], TODAY)
    assert to_mend == []
    assert let_be == [f"{HOLE}: let be until 2026-11-23: nobody can reach it"]
    to_mend, let_be = objections([HOLE], [until], TODAY + datetime.timedelta(days=1))
    assert to_mend == [str(HOLE), "  it was let be until 2026-11-23: nobody can reach it"]
    assert let_be == []


def test_what_is_accepted_and_no_more_there_is_to_be_taken_out() -> None:
    to_mend, _ = objections([], [Accepted("CVE-1", "nobody can reach it", TODAY)], TODAY)
    assert to_mend == ["advisories.toml: CVE-1 is of no package that is locked: take it out"]


def test_what_is_accepted_here_can_be_read(tmp_path: Path) -> None:
    assert all(each.reason for each in accepted())
    example = [line.removeprefix("# ") for line in advisories.ACCEPTED.read_text().splitlines() if " = " in line]
    (tmp_path / "example.toml").write_text("\n".join(["[[accepted]]", *example]))
    assert [each.id for each in accepted(tmp_path / "example.toml")] == ["CVE-2026-0001"]
