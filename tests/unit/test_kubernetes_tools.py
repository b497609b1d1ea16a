"""Helm and kubectl are found where somebody says, or what is missing is said in one line."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from infra import kubernetes_tools
from infra.fetched import Missing

TOOLS = {"HELM": kubernetes_tools.helm, "KUBECTL": kubernetes_tools.kubectl, "HELM3": kubernetes_tools.older_helm}


@pytest.mark.parametrize(("variable", "find"), TOOLS.items(), ids=TOOLS)
def test_a_tool_is_the_one_that_its_variable_names(
    monkeypatch: pytest.MonkeyPatch, variable: str, find: Callable[[], str]
) -> None:
    monkeypatch.setenv(variable, "/bin/sh")
    assert find() == "/bin/sh"
    monkeypatch.setenv(variable, "/nowhere/tool")
    with pytest.raises(Missing, match=f"^{variable}: /nowhere/tool can't be run: "):
        find()


def test_where_none_is_carried_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(kubernetes_tools, "CACHE", tmp_path)
    monkeypatch.delenv("HELM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Missing, match=r"^helm is carried for Linux on x86_64 only: install it, or set HELM$"):
        kubernetes_tools.helm()
