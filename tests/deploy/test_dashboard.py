"""The dashboard: Grafana can read it, Prometheus its questions, and each asks for what there is."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

from tests.deploy.metrics import OF_PROMETHEUS, asked, documented, labels
from tests.deploy.test_alerts import RECORDED
from tests.promtool import ALERTS

DASHBOARD: dict[str, Any] = json.loads(ALERTS.with_name("dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
TARGETS = [(panel["title"], target) for panel in PANELS for target in panel.get("targets", [])]
COLUMNS = 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def expression(target: dict[str, Any]) -> str:
    """What Prometheus is asked, once Grafana has put in its variables."""
    return str(target["expr"]).replace("$__rate_interval", "5m").replace("$namespace", ".*")


def test_each_panel_has_an_id_of_its_own_and_says_what_it_shows() -> None:
    ids = [panel["id"] for panel in PANELS]
    assert len(set(ids)) == len(ids)
    assert [panel["title"] for panel in PANELS if panel["type"] != "row" and not panel["description"]] == []


def test_no_panel_lies_over_another_or_beyond_the_edge() -> None:
    places = [(panel["title"], *(panel["gridPos"][side] for side in "xywh")) for panel in PANELS]
    assert [title for title, x, _, width, _ in places if x + width > COLUMNS] == []
    for (one, x, y, w, h), (other, x2, y2, w2, h2) in itertools.combinations(places, 2):
        assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y, f"{one} lies over {other}"


def test_it_has_a_row_for_each_thing_that_one_looks_for() -> None:
    rows = [panel["title"] for panel in PANELS if panel["type"] == "row"]
    assert rows == ["The shop", "Steps", "Queues", "API", "Database", "Telemetry"]


def test_every_question_goes_to_the_prometheus_that_is_chosen() -> None:
    variables = {each["name"]: each["type"] for each in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource": "datasource", "namespace": "query"}
    asking = [*(target for _, target in TARGETS), *(panel for panel in PANELS if panel["type"] != "row")]
    asking += [each for each in DASHBOARD["templating"]["list"] if each["type"] == "query"]
    assert [each for each in asking if each["datasource"] != SOURCE] == []


def test_prometheus_can_read_every_question(promtool: str, tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": expression(target)} for number, (_, target) in enumerate(TARGETS)]
    file = tmp_path / "panels.yaml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_panels_ask_for_metrics_and_labels_that_there_are() -> None:
    metrics = documented()
    for title, target in TARGETS:
        wanted = asked(expression(target))
        assert wanted, title
        assert wanted <= set(metrics) | RECORDED, title
        assert labels(expression(target)) <= OF_PROMETHEUS.union(*(metrics.get(name, ()) for name in wanted)), title


def test_every_alert_s_metric_can_be_seen_on_it() -> None:
    shown = {name for _, target in TARGETS for name in asked(expression(target))}
    assert {name for name in documented() if name in ALERTS.read_text()} <= shown
