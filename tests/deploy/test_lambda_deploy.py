"""`make lambda-deploy` takes the right zip, and has SAM publish what has changed."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra import lambda_deploy
from infra.kind import ROOT, Failed
from infra.lambda_deploy import environments, marked, zip_for

GIVEN = {"Runtime": "python3.11", "Architecture": "x86_64", "LogLevel": "INFO"}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    made = tmp_path / "order-lifecycle-api-python3.11-x86_64.zip"
    with zipfile.ZipFile(made, "w") as zipped:
        zipped.writestr("api/lambda_handler.py", "")
    return made


def test_the_zip_is_that_of_the_runtime_and_the_processor(built: Path) -> None:
    assert zip_for(GIVEN, built.parent) == built
    other = (
        r"^order-lifecycle-api-python3.11-arm64.zip is not in dist/lambda: run make lambda-zip, in an environment of "
    )
    with pytest.raises(Failed, match=other + "python3.11$"):
        zip_for(GIVEN | {"Architecture": "arm64"}, built.parent)


def test_every_environment_says_which_zip_it_takes() -> None:
    assert all({"Runtime", "Architecture"} <= set(each) for each in environments().values())


def test_another_value_of_a_parameter_is_another_zip_of_the_same_files(built: Path, tmp_path: Path) -> None:
    made = {}
    for level in ("INFO", "DEBUG"):
        made[level] = tmp_path / f"{level}.zip"
        marked(built, GIVEN | {"LogLevel": level}, made[level])
    marked(built, GIVEN, tmp_path / "again.zip")
    assert made["INFO"].read_bytes() == (tmp_path / "again.zip").read_bytes() != made["DEBUG"].read_bytes()
    with zipfile.ZipFile(made["DEBUG"]) as zipped:
        assert zipped.namelist() == ["api/lambda_handler.py"]


def test_another_template_is_another_zip(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marked(built, GIVEN, tmp_path / "one.zip")
    monkeypatch.setattr(lambda_deploy, "TEMPLATES", tmp_path)
    marked(built, GIVEN, tmp_path / "other.zip")
    assert (tmp_path / "one.zip").read_bytes() != (tmp_path / "other.zip").read_bytes()


def test_an_unknown_environment_is_refused_with_those_that_there_are() -> None:
    command = [sys.executable, "-m", "infra.lambda_deploy", "staging"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "TO=staging: choose from dev, prod, which infra/lambda/samconfig.toml has\n",
    )


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ('[dev.deploy.parameters]\nparameter_overrides = ["VpcId"]', "dev: write 'VpcId' as NAME=VALUE"),
        ('[dev.deploy.parameters]\nparameter_overrides = ["VpcId = vpc-1"]', "write 'VpcId = vpc-1' as NAME=VALUE"),
        ("[dev.deploy.parameters", r"samconfig.toml: Expected"),
    ],
)
def test_a_file_that_can_not_be_read_is_refused_with_what_to_write(tmp_path: Path, written: str, reason: str) -> None:
    config = tmp_path / "samconfig.toml"
    config.write_text(written)
    with pytest.raises(Failed, match=reason):
        environments(config)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"Architecture": "arm64"}, "Runtime is missing"),
        ({"Runtime": "python3.13", "Architecture": "x86"}, "Architecture=x86: choose from x86_64, arm64"),
    ],
)
def test_parameters_that_name_no_zip_are_refused(given: dict[str, str], reason: str) -> None:
    with pytest.raises(Failed, match=reason):
        zip_for(given)
