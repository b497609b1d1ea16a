"""The Dockerfile and what goes into a build: told without an engine."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from docker.utils.build import exclude_paths

from cli.embedded import program
from tests.images.dockerfile import TEXT
from tests.images.engine import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def locked(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))


def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run([program("hadolint"), ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_goes_into_a_build_is_what_is_copied_and_nothing_that_lies_about(
    checkout: tuple[Path, set[str]],
) -> None:
    folder, wanted = checkout
    lines = (folder / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    given = {path for path in exclude_paths(str(folder), patterns) if (folder / path).is_file()}
    # The client sends these two along for itself.
    assert given - {"Dockerfile", ".dockerignore"} == wanted


def test_the_version_of_the_images_is_that_of_the_project() -> None:
    assert re.findall(r"^ARG VERSION=(.*)$", TEXT, re.MULTILINE) == [PROJECT["project"]["version"]]


def test_what_is_installed_is_a_wheel_with_a_known_hash() -> None:
    script = (ROOT / "infra" / "images" / "install.sh").read_text()
    installs = re.findall(r"pip .*?install (.*?)(?=&&|$)", TEXT + script, re.MULTILINE)
    assert installs
    for each in installs:
        from_an_index = "--only-binary :all: --require-hashes" in each
        assert from_an_index or "--no-index --no-deps" in each, each


def test_each_image_has_the_list_of_the_packages_that_it_has() -> None:
    packages, lists = (
        re.findall(rf"^COPY --from=(\w+)-{what} (\S+) \2$", TEXT, re.MULTILINE) for what in ("packages", "sbom")
    )
    assert [name for name, _ in lists] == [name for name, path in packages if path == "/opt/venv"]
    assert {path for _, path in lists} == {"/usr/share/sbom"}


@pytest.mark.parametrize("name", ["build", "reload", "runtime", "temporal"])
def test_what_images_are_made_with_is_what_the_tests_ran_with(name: str) -> None:
    ours = locked("dev")
    assert locked(name) == {package: ours[package] for package in locked(name)}
