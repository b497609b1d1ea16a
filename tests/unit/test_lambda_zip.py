"""The archives for AWS Lambda, as far as nothing need be installed for them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from infra import lambda_zip
from infra.kind import Failed

LOCK = """\
# This file was made by somebody.
everywhere==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
on-arm==2.0 ; platform_machine == 'aarch64' \\
    --hash=sha256:cc
on-others==3.0 ; platform_machine == 'arm64' or sys_platform == 'darwin' or sys_platform == 'win32' \\
    --hash=sha256:dd
uvicorn==4.0 \\
    --hash=sha256:ee
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "task"
    for path in ("b/late.py", "b-early.py", "a/first.py"):
        (found / path).parent.mkdir(parents=True, exist_ok=True)
        (found / path).write_text("1234567890")
    return found


@pytest.mark.parametrize(
    ("architecture", "packages"), [("x86_64", ["everywhere"]), ("arm64", ["everywhere", "on-arm"])]
)
def test_packages_are_those_that_the_lock_has_for_the_functions_machine(
    architecture: str, packages: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(lambda_zip, "LOCK", tmp_path / "lock.txt")
    lambda_zip.LOCK.write_text(LOCK)
    wanted = lambda_zip.locked(architecture)
    assert [line.partition("==")[0] for line in wanted.splitlines() if "==" in line] == packages
    assert "    --hash=sha256:aa \\\n    --hash=sha256:bb\n" in wanted
    # pip would ask its own machine.
    assert ";" not in wanted


def test_the_files_of_an_archive_are_in_order_of_one_time_and_of_one_mode(folder: Path, tmp_path: Path) -> None:
    (folder / "b-early.py").chmod(0o600)
    archive = lambda_zip.pack(folder, tmp_path / "made" / "it.zip")
    with zipfile.ZipFile(archive.path) as opened:
        entries = opened.infolist()
    assert [entry.filename for entry in entries] == ["a/first.py", "b-early.py", "b/late.py"]
    assert {(entry.date_time, entry.external_attr >> 16) for entry in entries} == {((1980, 1, 1, 0, 0, 0), 0o100644)}
    assert archive.unpacked == 30
    assert archive.biggest(2) == [("a", 10), ("b-early.py", 10)]


def test_what_aws_would_not_take_is_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lambda_zip, "LIMIT", 29)
    with pytest.raises(Failed, match=r"^it\.zip: 0\.0 MB unpacked, of which AWS Lambda takes 0\.0 MB at most$"):
        lambda_zip.pack(folder, tmp_path / "it.zip")
    assert not (tmp_path / "it.zip").exists()
