"""The chart as Helm renders it; each render is made once in a process."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from infra.kind import ROOT
from tests.deploy.documents import Document

CHART = ROOT / "infra" / "helm" / "order-lifecycle"
FILES = {path.name.removesuffix("-values.yaml"): path for path in sorted((CHART / "ci").glob("*-values.yaml"))}
"""The values files of ``ci/`` by name."""
RELEASE, NAMESPACE = "shop", "orders"
CRDS = (
    "gateway.networking.k8s.io/v1/HTTPRoute",
    "keda.sh/v1alpha1",
    "monitoring.coreos.com/v1",
    "temporal.io/v1alpha1",
)
"""What a cluster of the tests has beyond Kubernetes' own, in case that the chart asks."""
BRIEF = {"GOGC": "off", "GOMAXPROCS": "1"}
"""Helm is done before it would have to clean up after itself: a third less time."""
PATIENCE = 60.0
"""How long, in seconds, one render may take."""

Values = Mapping[str, Any]


class Refused(Exception):
    """Helm did not render the chart; the text is what it said."""


class Chart:
    """A chart and the Helm that renders it."""

    def __init__(self, helm: str, folder: Path = CHART, cluster: str | None = None) -> None:
        self.helm = helm
        self.folder = folder
        # Helm asks the API of a cluster only where it is told to.
        asking = ["--dry-run=server", f"--kube-apiserver={cluster}", "--kube-token=any", "--disable-openapi-validation"]
        self._asking = asking if cluster else []
        self._rendered: dict[str, list[Document] | Refused] = {}

    def render(self, values: Values | None = None, file: str | None = None) -> list[Document]:
        """Give the objects that values over those of a file in ``ci/`` make.

        A key is a path with dots between its parts, and what stands under it is taken as it is.

        Raises:
            Refused: the values can't be used.
        """
        key = json.dumps([values, file])
        if key not in self._rendered:
            self._rendered[key] = self._render(values or {}, file)
        rendered = self._rendered[key]
        if isinstance(rendered, Refused):
            raise rendered
        return rendered

    def refusal(self, values: Values, file: str | None = None) -> str:
        """Say why the chart refuses these values: what its guards say, or its schema."""
        try:
            self.render(values, file)
        except Refused as error:
            told = str(error).partition("\n\nUse --debug")[0]
            return told.partition("guards.yaml:")[2].partition("\n")[2] or told
        raise AssertionError(f"rendered: {json.dumps(values)}")

    def notes(self, values: Values | None = None) -> str:
        """Give what Helm tells a person after an install."""
        command = [self.helm, "install", RELEASE, str(self.folder), *self._common(None), "--dry-run=client"]
        text = self._run(command, values or {})
        return text.partition("\nNOTES:\n")[2]

    def lint(self, file: str) -> str:
        """Check the chart and the values of a file in ``ci/``; give what is wrong with them, or nothing."""
        try:
            self._run([self.helm, "lint", "--strict", "--quiet", str(self.folder), *self._common(file)], {})
        except Refused as error:
            return str(error)
        return ""

    def _render(self, values: Values, file: str | None) -> list[Document] | Refused:
        command = [self.helm, "template", RELEASE, str(self.folder), *self._common(file)]
        command += [*self._asking, *(f"--api-versions={each}" for each in CRDS)]
        try:
            text = self._run(command, values)
        except Refused as error:
            return error
        return [each for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each]

    def _common(self, file: str | None) -> list[str]:
        # Over the values of the file go those that come by standard input.
        files = [] if file is None else ["--values", str(FILES[file])]
        return ["--namespace", NAMESPACE, *files, "--values", "-"]

    def _run(self, command: list[str], values: Values) -> str:
        given = json.dumps(nested(values))
        environment = os.environ | BRIEF
        done = subprocess.run(
            command, input=given, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        if done.returncode:
            raise Refused(done.stderr or done.stdout)
        return done.stdout


def nested(values: Values) -> dict[str, Any]:
    """Turn paths with dots into objects in objects."""
    whole: dict[str, Any] = {}
    for path, value in values.items():
        *parents, last = path.split(".")
        place = whole
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return whole
