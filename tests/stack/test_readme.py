"""The commands of the README, run as they stand there."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.examples import body
from tests.stack.conftest import ROOT, Up

PAGES = ("README.md", "docs/api.md")
BLOCKS = [
    block
    for page in PAGES
    for block in re.findall(r"<!-- run -->\n```sh\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    running = Up(tmp_path_factory.mktemp("readme") / "data", {"REVIEW_TIMEOUT": "2"}).start()
    yield running
    running.stop()


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_of_the_readme_does_what_it_says(up: Up, block: str) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.replace("http://127.0.0.1:8000", up.url)],
        cwd=ROOT,
        env={**os.environ, "PATH": path, "ORDERS_URL": up.url, "KEY": secrets.token_hex(8)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"status":"received"' in done.stdout or "the order is completed" in done.stdout


def test_the_block_that_signs_a_carrier_s_message_does_what_it_says(tmp_path_factory: pytest.TempPathFactory) -> None:
    secret = "what the carrier signs with"
    (block,) = re.findall(
        r"<!-- run with a secret -->\n```sh\n(.*?)```", (ROOT / "docs" / "api.md").read_text(), re.DOTALL
    )
    settings = {"REVIEW_MODE": "off", "CARRIER_TRANSIT": "P9D", "CARRIER_WEBHOOK_SECRETS": secret}
    up = Up(tmp_path_factory.mktemp("signed") / "data", settings).start()
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


def test_the_readme_has_such_blocks() -> None:
    assert len(BLOCKS) >= 2
