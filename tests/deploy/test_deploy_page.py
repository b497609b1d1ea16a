"""What docs/deploy.md tells people to set is what the chart takes."""

from __future__ import annotations

import re
import subprocess

import yaml

from infra.kind import ROOT
from tests.deploy.charts import CHART, FILES, Chart

PAGE = (ROOT / "docs" / "deploy.md").read_text()
INCIDENT = PAGE.partition("## In an incident")[2]
VALUE = re.compile(r"`([a-zA-Z][\w.]*\.[\w.]+=[^`*]*)`")
SCALED = {"workerDefaults.autoscaling.type": "keda"}
"""What rows about autoscaling are about."""


def test_every_value_for_an_incident_is_one_that_the_chart_takes(helm: str) -> None:
    values = VALUE.findall(INCIDENT)
    assert len(values) > 15
    command = [helm, "template", "orders", str(CHART), "--namespace", "orders", "--values", str(FILES["production"])]
    made = subprocess.run(
        [*command, *(f"--set={value}" for value in values)], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    told = re.findall(r"- name: (\w+)\n +value: (.*)", made.stdout)
    assert ("LOG_LEVEL", '"DEBUG"') in told
    assert ("OTEL_TRACES_SAMPLER_ARG", '"0.05"') in told


def test_each_value_for_an_incident_changes_what_is_deployed(chart: Chart) -> None:
    _, *rows = (VALUE.findall(line) for line in INCIDENT.splitlines() if line.startswith("| "))
    assert all(rows)
    idle = []
    for row in rows:
        values = {name: yaml.safe_load(value or "''") for name, _, value in (each.partition("=") for each in row)}
        for name, value in values.items():
            others = {key: other for key, other in values.items() if key != name}
            given = (SCALED if ".autoscaling." in name else {}) | others
            if chart.render(given, "production") == chart.render(given | {name: value}, "production"):
                idle.append(name)
    assert idle == []


def test_no_command_of_the_page_changes_what_is_helm_s() -> None:
    verbs = re.findall(r"kubectl (?:--context \S+ )?-n orders ((?:rollout |set )?[a-z-]+)", PAGE)
    assert {"rollout restart", "get", "logs"} <= set(verbs)
    assert {"rollout undo", "scale", "set image", "edit", "patch"} & set(verbs) == set()


def test_every_value_of_the_page_is_in_the_chart(helm: str) -> None:
    named = {
        name for name in re.findall(r"`((?:[a-z]\w+\.)+\w+)(?:=[^`]*)?`", PAGE) if not name.endswith(("yaml", "txt"))
    }
    known = (CHART / "README.md").read_text()
    groups = re.compile(r"^(?:api\.settings|settings|workers\.\w+)\.")
    assert len(named) > 25
    assert [name for name in sorted(named) if not groups.match(name) and f"`{name}" not in known] == []


def test_helm_knows_every_option_of_the_page(helm: str) -> None:
    for verb in ("upgrade", "test", "rollback", "history"):
        options = set(re.findall(rf"helm (?:--[\w-]+ [\w-]+ )?{verb} [^\n]*", PAGE))
        assert options, verb
        known = subprocess.run([helm, verb, "--help"], capture_output=True, text=True, check=True).stdout
        assert [each for line in options for each in re.findall(r"--[a-z-]+", line) if f" {each}" not in known] == []
