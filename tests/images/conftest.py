"""What the tests of the images share: the engine, the images, and the files in them."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.images.dockerfile import COPIED
from tests.images.engine import ROOT, Engine, Missing, find

PLANTED = (
    ".env",
    ".git/config",
    ".local/spans.db",
    ".venv/bin/python",
    "api/routes/.orders.py.swp",
    "dump.sql",
    "infra/images/key.pem",
    "migrations/versions/__pycache__/x.pyc",
    "orders/.env",
    "orders/__pycache__/x.cpython-313.pyc",
    "orders/ledger/old.pyc",
    "requirements/api.txt.orig",
    "tests/images/conftest.py",
)
"""What may lie about in a checkout, and is nothing for an image."""


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    kept = os.environ.get("CONTAINER_LAB")
    lab = Path(kept or tempfile.mkdtemp(prefix="orders-images-"))
    try:
        found = find(lab)
    except Missing as error:
        if not kept:
            shutil.rmtree(lab)
        pytest.skip(str(error))
    yield found
    if found.environment and not kept:
        found.ask("rmi", "--all", "--force")
        shutil.rmtree(lab)


@pytest.fixture(scope="session")
def image(engine: Engine) -> Callable[[str], str]:
    """The image of a target, which is built when it is first asked for."""
    built: dict[str, str] = {}

    def of(target: str) -> str:
        if target not in built:
            built[target] = engine.build(target, "--target", target)
        return built[target]

    return of


@pytest.fixture(scope="session")
def files(
    engine: Engine, image: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], list[tarfile.TarInfo]]:
    """What the image of a target holds, the base's files among it."""
    known: dict[str, list[tarfile.TarInfo]] = {}

    def of(target: str) -> list[tarfile.TarInfo]:
        if target not in known:
            archive = engine.export(image(target), tmp_path_factory.mktemp("exports") / f"{target}.tar")
            with tarfile.open(archive) as opened:
                known[target] = opened.getmembers()
            archive.unlink()
        return known[target]

    return of


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """A checkout in which things lie about, and what of it an image is made from."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in COPIED:
        source, copy = ROOT / name, folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", ".*", "ruff.toml"))
        else:
            shutil.copy(source, copy)
    wanted = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    shutil.copy(ROOT / ".dockerignore", folder)
    for name in PLANTED:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("not for an image")
    return folder, wanted
