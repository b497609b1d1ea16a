"""``orders trace``: what it draws, writes and prints, and how it fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.client import ApiError
from cli.errors import StackError
from cli.main import app
from tests.kept_spans import FIRST, span
from tests.scripted_api import Answer, ScriptedApi

ORDER = Answer(200, {"id": "ord_1", "status": "paid"})
EVENTS = Answer(200, {"data": [{"seq": 1, "type": "received", "trace_id": FIRST}], "next": None})
SPANS = [span("POST /orders", to=5)]


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedApi]:
    """The API and the keeper of spans in one."""
    with ScriptedApi() as found:
        monkeypatch.setenv("ORDERS_URL", found.url)
        monkeypatch.setenv("ORDERS_TRACES_URL", found.url)
        found.answers = [ORDER, EVENTS, Answer(200, SPANS)]
        yield found


def trace(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["trace", "ord_1", *arguments])


def test_people_get_a_picture(system: ScriptedApi) -> None:
    told = trace()
    assert told.exit_code == 0
    assert "order ord_1  paid" in told.stdout
    assert "POST /orders" in told.stdout


def test_programs_get_the_spans_as_they_are_kept(system: ScriptedApi) -> None:
    assert json.loads(trace("--json").stdout) == {"id": "ord_1", "spans": SPANS}


def test_a_page_is_written_where_one_says(system: ScriptedApi, tmp_path: Path) -> None:
    file = tmp_path / "trace.html"
    assert trace("--html", str(file)).stdout == f"wrote {file}\n"
    assert "Order ord_1" in file.read_text()


def test_a_page_that_cannot_be_written_is_one_line_that_names_the_file(system: ScriptedApi, tmp_path: Path) -> None:
    told = trace("--html", str(tmp_path))
    assert isinstance(told.exception, StackError)
    assert str(told.exception) == f"{tmp_path} can't be written: Is a directory"


def test_an_unknown_order_is_the_answer_of_the_api(system: ScriptedApi) -> None:
    system.answers = [Answer(404, {"title": "Not found", "status": 404, "detail": "there is no order ord_1"})]
    told = trace()
    assert isinstance(told.exception, ApiError)
    assert str(told.exception) == "there is no order ord_1"
