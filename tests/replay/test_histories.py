"""What the saved histories show: every end, everything that can be said, asked and done, and nobody's data."""

from __future__ import annotations

import ast
import base64
import json
import re
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from temporalio.workflow import _Definition

from orders.model import FINAL, ORDER_BY_EVENT, ORDER_MOVES, EventType, OrderStatus
from tests.examples import DETAILS
from tests.replay import fingerprints, histories
from tests.replay.histories import Saved
from tests.replay.lives import LIVES
from tests.replay.workflows import WORK_OF, WORKFLOWS

CODE = histories.ROOT / "orders" / "workflows"
NEWEST = histories.releases()[-1]
MOMENTARY = {(OrderStatus.RECEIVED, OrderStatus.CANCELLED), (OrderStatus.PAID, OrderStatus.CANCELLED)}
"""What only a message that comes together with a partner's answer leads to."""


@cache
def saved_of(release: str) -> list[Saved]:
    return list(histories.of(release))


@cache
def lines_by_name(release: str) -> dict[str, list[str]]:
    return fingerprints.kept(release)


@cache
def all_lines() -> frozenset[str]:
    return frozenset(
        line for release in histories.releases() for lines in lines_by_name(release).values() for line in lines
    )


def test_the_newest_release_has_the_histories_of_all_lives() -> None:
    of_the_newest = {each.life for each in saved_of(NEWEST)}
    assert of_the_newest == set(LIVES), "run `make histories`"


@pytest.mark.parametrize("status", sorted(FINAL))
def test_some_history_ends_in_each_final_status(status: str) -> None:
    assert f'complete_workflow_execution "{status}"' in all_lines()


@pytest.mark.parametrize("status", sorted(FINAL))
def test_some_history_takes_each_way_to_a_final_status(status: OrderStatus) -> None:
    wanted = {(before, status) for before, following in ORDER_MOVES.items() if status in following}
    taken = {move for lines in lines_by_name(NEWEST).values() for move in pairwise(_statuses(_events(lines)))}
    assert wanted - taken - MOMENTARY == set()


def test_some_history_has_each_event_that_a_workflow_can_tell() -> None:
    told = {event for lines in lines_by_name(NEWEST).values() for event in _events(lines)}
    assert set(EventType) - told == set()


def test_some_history_has_each_activity_of_the_workers() -> None:
    done = {line.split()[1] for line in all_lines() if re.match(r"schedule_(local_)?activity ", line)}
    registered = {fingerprints.name_of(each) for work in WORK_OF.values() for each in work.activities}
    assert registered - done == set()


def test_some_history_has_each_message_that_a_workflow_takes() -> None:
    asked = {
        attributes.get("signalName") or attributes.get("acceptedRequest", {}).get("input", {}).get("name")
        for saved in saved_of(NEWEST)
        for event in saved.events["events"]
        for attributes in event.values()
        if isinstance(attributes, dict)
    }
    definitions = [_Definition.must_from_class(each) for each in WORKFLOWS]
    taken = {name for each in definitions for name in (*each.signals, *each.updates)}
    assert taken - asked == set()


@pytest.mark.parametrize("release", histories.releases())
def test_the_parcels_of_each_order_are_there_too(release: str) -> None:
    kept = lines_by_name(release)
    for life in {each.life for each in saved_of(release)}:
        begun = sum(line.startswith("start_child_workflow") for line in kept[f"{life}/order"])
        assert sum(name.startswith(f"{life}/shipment:") for name in kept) == begun, life


def test_each_patch_in_the_workflows_has_a_history_of_its_own() -> None:
    assert unseen(patches(path.read_text() for path in CODE.glob("*.py"))) == [], "run `make histories`"


def test_a_patch_that_no_history_has_is_found() -> None:
    assert unseen(patches(['if workflow.patched("gift wrap"):\n    pass'])) == ["gift wrap"]


def patches(sources: Iterable[str]) -> set[str]:
    """The ids of the patches in some code."""
    calls = [each for source in sources for each in ast.walk(ast.parse(source)) if isinstance(each, ast.Call)]
    named = [call for call in calls if ast.unparse(call.func).rpartition(".")[2] in ("patched", "deprecate_patch")]
    return {ast.literal_eval(call.args[0]) for call in named}


def unseen(patches: set[str]) -> list[str]:
    """Those of them that no history has."""
    marked = "\n".join(line for line in all_lines() if line.startswith("set_patch_marker"))
    return sorted(patch for patch in patches if f"patch_id={patch}" not in marked)


@pytest.mark.parametrize("release", histories.releases())
def test_the_histories_have_nobodys_data_but_the_examples_and_nothing_of_a_machine(release: str) -> None:
    texts = [text for saved in saved_of(release) for text in _texts(saved.events)]
    everything = "\n".join(texts)
    assert set(re.findall(r"[\w.+-]+@[\w.-]+", everything)) == {DETAILS.customer_email}
    assert not re.search(r"\.py\b|/(home|root|tmp|work|usr|Users)/|Traceback", everything)
    assert set(re.findall(r'"identity": "(.*?)"', everything)) == {histories.NOBODY}


def _texts(value: Any) -> list[str]:
    """A history as text, and what it carries."""
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    if not isinstance(value, dict):
        return []
    carried = [base64.b64decode(value["data"]).decode()] if "metadata" in value and "data" in value else []
    named = [json.dumps({key: each}) for key, each in value.items() if isinstance(each, str) and key != "data"]
    return [*carried, *named, *(text for each in value.values() for text in _texts(each))]


def _events(lines: list[str]) -> list[EventType]:
    """What a workflow has told, in order."""
    written = [found for line in lines for found in re.findall(r"\[([^\]]+)\] \w+$", line)]
    return [EventType(word.partition("(")[0]) for words in written for word in words.split()]


def _statuses(events: list[EventType]) -> list[OrderStatus]:
    return [OrderStatus.RECEIVED, *(ORDER_BY_EVENT[event] for event in events if event in ORDER_BY_EVENT)]
