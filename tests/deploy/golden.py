"""``python -m tests.deploy.golden --write`` (``make goldens``) writes what the chart makes of each file in ``ci/``.

A change of the chart then shows in review as what it does to a cluster. The defaults are kept as a whole; of any other
values, how what they make differs from the defaults. Without ``--write`` it says which of them are out of date.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from infra import kubernetes_tools
from infra.fetched import Missing
from tests.deploy.charts import CHART, FILES, Chart
from tests.deploy.documents import Document, name_of

FOLDER = Path(__file__).parent / "golden"
WHOLE = "default"
NAMED: dict[str, dict[str, Any]] = {"dev": {"fullnameOverride": "orders"}, "full": {"fullnameOverride": "orders"}}
"""Values that are compared with the defaults under other names, since every line would differ else."""


def written(chart: Chart, file: str) -> str:
    """Write what the values of a file make, or how it differs from what the defaults make."""
    objects = _objects(chart.render(file=file))
    if file == WHOLE:
        return "".join(f"---\n{text}" for _, text in sorted(objects.items()))
    return "".join(_differences(_objects(chart.render(NAMED.get(file, {}), file=WHOLE)), objects))


def _differences(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    for name in sorted({*before, *after}):
        # An object that there was not has nothing around the lines that differ.
        lines = difflib.unified_diff(before.get(name, "").splitlines(), after.get(name, "").splitlines(), lineterm="")
        changed = [line if line[0] != "@" else "@@" for line in list(lines)[2:]]
        gone = name not in after
        if changed:
            yield "\n".join([f"=== {name}{' is not made' if gone else ''}", *([] if gone else changed), ""])


def _objects(documents: list[Document]) -> dict[str, str]:
    return {name_of(each): _text_of(_shortened(each)) for each in documents}


def _text_of(document: Document) -> str:
    return str(yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, width=120))


def _shortened(document: Document) -> Document:
    """Leave out what a file says that is tested by itself, and is thousands of lines long."""
    contents = {path.read_text().strip(): f"= files/{path.name}\n" for path in (CHART / "files").iterdir()}
    if document["kind"] == "ConfigMap":
        return document | {"data": {key: contents.get(text.strip(), text) for key, text in document["data"].items()}}
    if document["kind"] == "PrometheusRule":
        own = yaml.load((CHART / "files" / "alerts.yaml").read_text(), Loader=yaml.CSafeLoader)
        return document | {"spec": "= files/alerts.yaml" if document["spec"] == own else document["spec"]}
    return document


def path_of(file: str) -> Path:
    """Where it is kept."""
    return FOLDER / (f"{file}.yaml" if file == WHOLE else f"{file}.diff")


def main() -> int:
    """Write or compare them."""
    try:
        chart = Chart(kubernetes_tools.helm())
    except Missing as error:
        print(error, file=sys.stderr)
        return 2
    now = {path_of(file): written(chart, file) for file in FILES}
    kept = {path: path.read_text() for path in FOLDER.glob("*")}
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
