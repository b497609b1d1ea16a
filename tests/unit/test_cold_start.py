"""What a function of AWS Lambda loads, and when; it is counted, since time depends on the machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from benchmarks.cold_start import GATEWAY, Start, report
from tests.examples import body, new_id
from tests.function.events import Asked, HttpApi

UNNEEDED = {
    "_pytest",
    "alembic",
    "awslambdaric",
    "botocore",
    "cli",
    "cryptography",
    "dns",
    "httpx2",
    "jwt",
    "migrations",
    "opentelemetry.exporter",
    "opentelemetry.instrumentation",
    "opentelemetry.sdk",
    "orders.gauges",
    "prometheus_client",
    "pydantic.v1",
    "requests",
    "rich",
    "stripe",
    "temporalio.worker",
    "typer",
    "urllib3",
    "uvicorn",
    "workers",
}
"""What a function that checks no tokens and sends no traces can do without."""
STARTED = """
import gc, json, sys
from types import SimpleNamespace
from api.lambda_handler import handler
first, is_collecting, kept = [name for name in sys.modules if sys.modules[name]], gc.isenabled(), gc.get_freeze_count()
context = SimpleNamespace(aws_request_id="1", get_remaining_time_in_millis=lambda: 30000)
statuses = [handler(event, context)["statusCode"] for event in json.load(sys.stdin)]
later = [name for name in sys.modules if sys.modules[name] and name not in first]
import pydantic.v1
print(json.dumps({"first": first, "later": later, "statuses": statuses, "is_collecting": is_collecting, "kept": kept}))
"""


@pytest.fixture(scope="module")
def started() -> dict[str, Any]:
    """What a function has loaded when it has started, and what more when it was asked to show and to take an order."""
    claims = {"sub": "ann", "scope": "orders:read orders:write"}
    order = json.dumps(body()).encode()
    shown = Asked("GET", f"/orders/{new_id()}", claims=claims)
    placed = Asked("POST", "/orders", headers=(("Content-Type", "application/json"),), body=order, claims=claims)
    done = subprocess.run(
        [sys.executable, "-c", STARTED],
        env={**os.environ, **GATEWAY, "TEMPORAL_ADDRESS": "127.0.0.1:9"},
        input=json.dumps([HttpApi().event(each) for each in (shown, placed)]),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_start_loads_nothing_that_a_request_can_do_without(started: dict[str, Any]) -> None:
    loaded = [name for name in started["first"] if any(f"{name}.".startswith(f"{each}.") for each in UNNEEDED)]
    assert loaded == []


def test_the_first_requests_load_nothing_more(started: dict[str, Any]) -> None:
    # Neither PostgreSQL nor Temporal is there, which is told when all has been loaded that asks them.
    assert started["statuses"] == [503, 503]
    assert started["later"] == []


def test_what_was_kept_from_being_loaded_can_be_loaded_by_others(started: dict[str, Any]) -> None:
    assert "pydantic.v1" not in started["first"]


def test_the_garbage_collector_works_once_it_has_started_and_leaves_alone_what_was_there(
    started: dict[str, Any],
) -> None:
    assert started["is_collecting"]
    assert started["kept"] > 100_000


def test_the_handler_s_figures_are_compared_with_its_libraries_and_its_packages_are_told() -> None:
    lines = [
        "import time:       100 |        100 |     fastapi.routing",
        "import time:      2000 |       2100 |   fastapi",
        "import time:       900 |       3000 | api.lambda_handler",
    ]
    runs = {"the libraries": [Start(1100, 1000)], "the handler": [Start(1300, 900), Start(1200, 1000), Start(9, 1090)]}
    told = report(runs, lines, "this", (0, 0, 0))
    assert "| the handler | 1000 (900–1090) | 1.00 | 1200 (9–1300) |" in told
    assert "| fastapi | 2 | 2 |" in told
