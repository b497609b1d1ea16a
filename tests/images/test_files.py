"""What is in the images, and what is not."""

from __future__ import annotations

import json
import re
import tarfile
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.images.dockerfile import TARGETS
from tests.images.engine import ROOT, Engine

Image = Callable[[str], str]
Files = Callable[[str], list[tarfile.TarInfo]]
OURS = ("api", "worker", "migrate", "cli", "lambda")
LARGEST = {"api": 130, "worker": 145, "migrate": 110, "cli": 125, "lambda": 155, "temporal": 165}
"""How much, in MB, we may lay upon the base of each image: docs/images.md says where it goes."""
USER = 65532
TELL = """
import json, sys
from importlib.metadata import distributions
print(json.dumps({each.name: each.version for each in distributions()}))
print(json.dumps(json.load(open(sys.argv[1]))))
"""
"""What is installed, and the list of it."""
UNIDENTIFIED = {"protobuf"}
"""It names its licence, 3-Clause BSD, otherwise than SPDX does."""

pytestmark = pytest.mark.timeout(600)


def own(found: list[tarfile.TarInfo]) -> list[tarfile.TarInfo]:
    """Leave the base's files out."""
    ours = ("app", "opt", "data", "temporal", "usr/share/sbom")
    return [each for each in found if each.name.startswith(tuple(f"{name}/" for name in ours)) or each.name in ours]


@pytest.mark.parametrize("target", TARGETS)
def test_nobody_in_it_can_change_it(target: str, files: Files) -> None:
    mine = [each for each in files(target) if USER in (each.uid, each.gid)]
    anybodys = [each for each in own(files(target)) if each.mode & 0o022 and not each.issym()]
    # Temporal's development server keeps its data there, on a volume.
    assert {each.name.rstrip("/") for each in [*mine, *anybodys]} == ({"data"} if target == "temporal" else set())


@pytest.mark.parametrize("target", OURS)
def test_its_user_can_read_all_of_it(target: str, files: Files) -> None:
    assert [each.name for each in own(files(target)) if not each.issym() and not each.mode & 0o004] == []


@pytest.mark.parametrize("target", TARGETS)
def test_it_holds_no_secrets_no_caches_and_nothing_of_the_checkout_but_its_packages(target: str, files: Files) -> None:
    names = [each.name for each in files(target)]
    unwanted = re.compile(
        r"(^|/)(\.env|\.git|\.cache/pip|pip\.conf|\.netrc|root/\.cache|conftest\.py|requirements.*\.txt)(/|$)"
    )
    assert [name for name in names if unwanted.search(name)] == []
    packages = {name.split("/")[1] for name in names if name.startswith("app/") and name != "app/"}
    of_target = {"api": "api", "worker": "workers", "migrate": "migrations", "cli": "cli", "lambda": "api"}
    assert packages == ({of_target[target], "orders"} if target in of_target else set())


@pytest.mark.parametrize("target", OURS)
def test_each_module_in_it_is_compiled(target: str, files: Files) -> None:
    names = {each.name for each in own(files(target))}
    sources = {Path(name) for name in names if name.endswith(".py")}
    compiled = {
        Path(name).parent.parent / f"{Path(name).name.split('.')[0]}.py" for name in names if name.endswith(".pyc")
    }
    assert len(sources) > 1000
    assert sources == compiled


@pytest.mark.parametrize("target", TARGETS)
def test_it_tells_what_it_is_and_how_it_is_run(target: str, image: Image, engine: Engine) -> None:
    config = engine.config(image(target))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    labels = {name.rpartition(".")[2]: value for name, value in config["Labels"].items()}
    assert labels["title"] == f"order-lifecycle-{target}"
    assert labels["description"].endswith(".")
    if target != "temporal":
        assert (labels["version"], labels["licenses"]) == (project["version"], project["license"])
    assert (config["User"], config["StopSignal"]) == (f"{USER}:{USER}", "SIGTERM")
    assert config["Entrypoint"][0] in ("python", "orders", "/temporal")


@pytest.mark.parametrize("target", OURS)
def test_it_lists_what_is_installed_in_it_with_versions_and_licences(target: str, image: Image, engine: Engine) -> None:
    where = engine.config(image(target))["Labels"]["order-lifecycle.sbom"]
    done = engine.run(image(target), "-c", TELL, where, options=["--entrypoint", "python"])
    assert done.returncode == 0, done.stderr
    installed, listed = (json.loads(line) for line in done.stdout.splitlines())
    ours = listed["metadata"]["component"]
    packages = {each["name"]: each for each in [ours, *listed["components"]]}
    assert {name: each["version"] for name, each in packages.items()} == installed
    assert {name for name, each in packages.items() if not each.get("licenses")} <= UNIDENTIFIED
    assert [each["name"] for each in listed["components"] if not each["purl"].startswith("pkg:pypi/")] == []
    assert (listed["bomFormat"], ours["name"]) == ("CycloneDX", "order-lifecycle")
    # The same packages make the same list, whenever and wherever.
    assert "serialNumber" not in listed
    assert "timestamp" not in listed["metadata"]
    assert not re.search(r"file:|/(app|opt|tmp|wheels)/", done.stdout)


@pytest.mark.parametrize("target", TARGETS)
def test_its_history_and_its_settings_name_no_address(target: str, image: Image, engine: Engine) -> None:
    told = engine.ask("history", "--no-trunc", "--format", "{{.CreatedBy}}", image(target))
    assert "://" not in told + str(engine.config(image(target))["Env"])


@pytest.mark.parametrize("target", TARGETS)
def test_it_is_not_larger_than_we_say(target: str, files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    ours = sum(each.size for each in own(files(target))) / 1e6
    base = sum(each.size for each in files(target)) / 1e6 - ours
    with capsys.disabled():
        print(f"\n{target}: {ours:.0f} MB upon a base of {base:.0f} MB")
    assert ours <= LARGEST[target]


def test_the_engine_takes_of_a_checkout_what_is_copied_and_nothing_that_lies_about(
    checkout: tuple[Path, set[str]], engine: Engine, tmp_path: Path
) -> None:
    folder, wanted = checkout
    everything = tmp_path / "Dockerfile"
    everything.write_text("FROM scratch\nCOPY . /context/\n")
    image = engine.build("context", "--file", str(everything), context=folder)
    with tarfile.open(engine.export(image, tmp_path / "context.tar")) as archive:
        taken = {each.name.partition("context/")[2] for each in archive if each.isfile() and "context/" in each.name}
    assert taken == wanted
