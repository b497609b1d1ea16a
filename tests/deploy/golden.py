"""``python -m tests.deploy.golden --write`` (``make goldens``) writes what the chart makes of each file in ``ci/``.

A change of the chart then shows in review as what it does to a cluster. Without ``--write`` it says which of them are
out of date.
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from tests import kubernetes_tools
from tests.deploy.charts import CHART, FILES, Chart
from tests.deploy.documents import Document, name_of
from tests.fetched import Missing

FOLDER = Path(__file__).parent / "golden"


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as they read."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def written(documents: list[Document]) -> str:
    """Write objects by kind and name, with the chart's own files as their names."""
    ordered = sorted(documents, key=name_of)
    return yaml.dump_all(map(_shortened, ordered), Dumper=_Dumper, sort_keys=False, width=120, explicit_start=True)


def _shortened(document: Document) -> Document:
    """Leave out what a file says that is tested by itself, and is thousands of lines long."""
    contents = {path.read_text().strip(): f"= files/{path.name}\n" for path in (CHART / "files").iterdir()}
    if document["kind"] == "ConfigMap":
        return document | {"data": {key: contents.get(text.strip(), text) for key, text in document["data"].items()}}
    if document["kind"] == "PrometheusRule":
        own = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
        return document | {"spec": "= files/alerts.yaml" if document["spec"] == own else document["spec"]}
    return document


def path_of(file: str) -> Path:
    """Where the render of a values file is kept."""
    return FOLDER / f"{file}.yaml"


def main() -> int:
    """Write or compare the renders."""
    try:
        chart = Chart(kubernetes_tools.helm())
    except Missing as error:
        print(error, file=sys.stderr)
        return 2
    now = {path_of(file): written(chart.render(file=file)) for file in FILES}
    kept = {path: path.read_text() for path in FOLDER.glob("*.yaml")}
    outdated = sorted(path for path in {*now, *kept} if kept.get(path) != now.get(path))
    if "--write" not in sys.argv[1:]:
        print(*(f"{path.name} is out of date: make goldens" for path in outdated), sep="\n")
        return 1 if outdated else 0
    FOLDER.mkdir(exist_ok=True)
    for path in outdated:
        if path in now:
            path.write_text(now[path])
        else:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
