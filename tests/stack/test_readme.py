"""The commands of the README, run as they stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples import body
from tests.stack.conftest import ROOT, Up, given_servers

BLOCKS = re.findall(r"<!-- run -->\n```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
API_PAGE = (ROOT / "docs" / "api.md").read_text()
OPERATIONS_PAGE = (ROOT / "docs" / "operations.md").read_text()


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_of_the_readme_does_what_it_says(up: Up, block: str) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.replace("http://127.0.0.1:8000", up.url)],
        cwd=ROOT,
        env={**os.environ, "PATH": path, "ORDERS_URL": up.url, "ORDERS_TRACES_URL": up.traces_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"status":"received"' in done.stdout or "the order is completed" in done.stdout


def test_the_block_that_signs_a_carrier_s_message_does_what_it_says(tmp_path: Path, database_url: str) -> None:
    secret = "what the carrier signs with"
    (block,) = re.findall(
        r"<!-- run with a secret -->\n```sh\n(.*?)```", (ROOT / "docs" / "api.md").read_text(), re.DOTALL
    )
    settings = {
        **given_servers(database_url),
        "REVIEW_MODE": "off",
        "CARRIER_TRANSIT": "P9D",
        "CARRIER_WEBHOOK_SECRETS": secret,
    }
    up = Up(tmp_path / "data", settings).start()
    try:
        placed = up.post(body())
        up.until(placed["id"], "shipped")
        answer = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.replace("http://127.0.0.1:8000", up.url)],
            env={**os.environ, "ID": placed["id"], "SECRET": secret},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert json.loads(answer.stdout) == {"accepted": True, "reason": None}
        up.until(placed["id"], "completed")
    finally:
        up.stop()


def test_with_the_page_of_the_api_and_curl_one_places_follows_changes_reviews_and_cancels_an_order(
    reviewing: Up,
) -> None:
    script = "\n".join(re.findall(r"<!-- run -->\n```sh\n(.*?)```", API_PAGE, re.DOTALL))
    said = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("http://127.0.0.1:8000", reviewing.url)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    told = ["201 Created", '"type":"review_started"', '"city":"San Francisco"', '"actor":"anonymous"', "id: 1\n"]
    told += ['"type":"completed"', '"status":"cancelled"', '"next":', '"status":"received"']
    assert [each for each in told if each not in said] == [], said
    assert "urn:order-lifecycle:problem" not in said


def test_the_client_does_what_the_page_of_the_api_says(reviewing: Up) -> None:
    (script,) = re.findall(r"<!-- run as Python -->\n```python\n(.*?)```", API_PAGE, re.DOTALL)
    said = subprocess.run(
        [sys.executable, "-c", script.replace("http://127.0.0.1:8000", reviewing.url)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert said.startswith("['received'")
    assert said.endswith("'cancelled']\n")


def test_the_page_of_operations_answers_its_three_questions_with_commands_that_work(up: Up) -> None:
    script = "\n".join(re.findall(r"<!-- run -->\n```sh\n(.*?)```", OPERATIONS_PAGE, re.DOTALL))
    for usual, here in enumerate(re.findall(r"http://localhost:(\d+)/metrics", up.output), start=9464):
        script = script.replace(f"http://localhost:{usual}/", f"http://localhost:{here}/")
    ((psql, database),) = re.findall(r"^PostgreSQL +(\S+) '(.+)'$", up.output, re.MULTILINE)
    (traces,) = re.findall(r"ORDERS_TRACES_URL=(\S+)", up.output)
    settings = {"ORDERS_URL": up.url, "ORDERS_TRACES_URL": traces, "DATABASE_URL": database}
    path = os.pathsep.join([str(Path(sys.executable).parent), str(Path(psql).parent), os.environ["PATH"]])
    completed = up.get("/orders?status=completed&limit=1")["data"]
    order_id = completed[0]["id"] if completed else up.until(up.post(body())["id"], "completed")["id"]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={**os.environ, **settings, "PATH": path, "ID": order_id},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = [order_id, "payment_captured", "authorize", "(0 rows)", "orders_queue_backlog"]
    told += ['temporal_worker_task_slots_available{namespace="default",task_queue="payments"']
    told += ["temporal_activity_schedule_to_start_latency_seconds_count", "orders_stuck 0.0"]
    assert [each for each in told if each not in done.stdout] == [], done.stdout


def test_the_readme_has_such_blocks() -> None:
    assert len(BLOCKS) >= 2
