"""The alerts: their rules can be read, each is told and kept quiet, and each has its section for who is woken up."""

from __future__ import annotations

import re
import subprocess
import urllib.request
from typing import Any

import pytest
import yaml
from sqlalchemy import QueuePool, create_engine

from api.app import SERVICE
from orders.settings import TelemetrySettings, load
from orders.telemetry.metrics import Metrics
from orders.telemetry.resource import resource_of
from tests.deploy.metrics import OF_PROMETHEUS, PAGE, asked, documented, labels
from tests.promtool import ALERTS, CASES

RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
]
OURS = [rule for rule in RULES if "alert" in rule]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
NAMES = [rule["alert"] for rule in OURS]
SECTIONS = dict(re.findall(r"^### (Orders\w+)\n(.*?)(?=^##|\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL))


def test_prometheus_can_read_the_rules(promtool: str) -> None:
    done = subprocess.run([promtool, "check", "rules", ALERTS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_alerts_fire_and_stay_quiet_as_their_cases_say(promtool: str) -> None:
    done = subprocess.run([promtool, "test", "rules", *CASES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_stays_quiet() -> None:
    quiet, firing = set(), set()
    for case in (case for file in CASES for case in yaml.safe_load(file.read_text())["tests"]):
        told: dict[str, bool] = {}
        for moment in case.get("alert_rule_test", []):
            told[moment["alertname"]] = told.get(moment["alertname"], False) or bool(moment["exp_alerts"])
        firing |= {name for name, is_told in told.items() if is_told}
        quiet |= {name for name, is_told in told.items() if not is_told and case["input_series"]}
    assert firing == quiet == set(NAMES)


@pytest.mark.parametrize("rule", OURS, ids=NAMES)
def test_an_alert_says_how_urgent_it_is_and_where_its_section_is(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert "$value" in rule["annotations"]["description"]
    # As GitHub makes the anchor of a heading.
    assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{rule['alert'].lower()}"


@pytest.mark.parametrize("name", NAMES)
def test_the_section_of_an_alert_says_what_it_means_how_to_look_and_what_to_do(name: str) -> None:
    section = SECTIONS[name]
    parts = ["**What it means.**", "**How to look.**", "**What to do.**"]
    assert [part for part in parts if part not in section] == []
    assert "```sh" in section


def test_there_is_no_section_of_an_alert_that_is_gone() -> None:
    assert list(SECTIONS) == NAMES


def test_the_alerts_ask_for_metrics_and_labels_that_there_are() -> None:
    metrics = documented()
    for rule in RULES:
        wanted = asked(rule["expr"])
        assert wanted <= set(metrics) | RECORDED, rule
        assert labels(rule["expr"]) <= OF_PROMETHEUS.union(*(metrics.get(name, ()) for name in wanted)), rule


def test_the_api_is_missed_by_the_name_that_it_tells_before_its_first_request() -> None:
    metrics = Metrics.start(
        resource_of(SERVICE, load(TelemetrySettings)),
        load(TelemetrySettings, OTEL_METRICS_EXPORTER="prometheus", OTEL_EXPORTER_PROMETHEUS_PORT="0"),
    )
    metrics.watch_database(create_engine("sqlite://", poolclass=QueuePool), "ledger", lambda: 0)
    with urllib.request.urlopen(f"http://localhost:{metrics.server.server_port}/metrics") as answer:
        (told,) = re.findall(r"^target_info\{.*$", answer.read().decode(), re.MULTILINE)
    metrics.close()
    (rule,) = (rule for rule in OURS if rule["alert"] == "OrdersApiDown")
    asked_for = set(re.findall(r'service_\w+="[^"]*"', rule["expr"]))
    assert {name.split("=")[0] for name in asked_for} == {"service_name", "service_namespace"}
    assert [pair for pair in asked_for if pair not in told] == []


def test_no_alert_tells_of_a_customer() -> None:
    assert not re.search(r"email|street|customer_name", ALERTS.read_text())
