"""What clients of the last release rely on is still there, or the changelog says that it is not."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.openapi import DOCUMENT
from tests.compatibility import breaking_changes

ROOT = Path(__file__).parent.parent.parent
RELEASED = ROOT / "docs" / "openapi-released.json"
Json = dict[str, Any]


def test_nothing_that_a_client_relies_on_is_broken_without_the_changelog_saying_so() -> None:
    released, now = json.loads(RELEASED.read_text()), json.loads(DOCUMENT.read_text())
    unreleased = (ROOT / "CHANGELOG.md").read_text().partition("## [Unreleased]")[2].partition("\n## [")[0]
    named = re.findall(r"^- \*\*Breaking:\*\* `([^`]+)`", unreleased, re.MULTILINE)
    broken = [change for change in breaking_changes(released, now) if change.rpartition(": ")[0] not in named]
    assert broken == [], "keep it, or say so in CHANGELOG.md under Unreleased: - **Breaking:** `WHERE` and why"


def at(document: Json, *path: str) -> Any:
    for step in path:
        document = document[step]
    return document


ORDER, BODY = ("components", "schemas", "OrderView"), ("components", "schemas", "OrderBody")
PLACE, LIST = ("paths", "/orders", "post"), ("paths", "/orders", "get")


def set_to(path: tuple[str, ...], value: Any) -> Callable[[Json], None]:
    def change(document: Json) -> None:
        at(document, *path[:-1])[path[-1]] = value

    return change


def drop(*path: str) -> Callable[[Json], None]:
    def change(document: Json) -> None:
        del at(document, *path[:-1])[path[-1]]

    return change


def more(path: tuple[str, ...], *values: Any) -> Callable[[Json], None]:
    return lambda document: at(document, *path).extend(values)


def less(path: tuple[str, ...], value: Any) -> Callable[[Json], None]:
    return lambda document: at(document, *path).remove(value)


BREAKING = {
    "a path is gone": drop("paths", "/stats"),
    "a method is gone": drop(*LIST),
    "an operation has another id": set_to((*PLACE, "operationId"), "createOrder"),
    "a status is gone": drop(*PLACE, "responses", "201"),
    "a parameter is gone": lambda document: at(document, *LIST, "parameters").pop(0),
    "a parameter has to be given": lambda document: at(document, *LIST, "parameters")[0].update(required=True),
    "a new parameter has to be given": more(
        (*LIST, "parameters"), {"name": "shop", "in": "query", "required": True, "schema": {"type": "string"}}
    ),
    "a scope less is enough": lambda document: at(document, "paths", "/orders/{order_id}/cancel", "post")[
        "security"
    ].pop(),
    "an answer lacks a field": drop(*ORDER, "properties", "version"),
    "a field of an answer may be left out": less((*ORDER, "required"), "version"),
    "a field of an answer has another type": set_to((*ORDER, "properties", "version", "type"), "string"),
    "a field of an answer may be null": set_to(
        (*ORDER, "properties", "total"), {"anyOf": [{"type": "string"}, {"type": "null"}]}
    ),
    "a field of a body is gone": drop(*BODY, "properties", "metadata"),
    "a field of a body has to be given": more((*BODY, "required"), "metadata"),
    "a body takes less": set_to((*BODY, "properties", "items", "maxItems"), 10),
    "a body has a new limit": set_to((*BODY, "properties", "payment_method", "minLength"), 5),
    "a body takes another form": set_to((*BODY, "properties", "payment_method", "pattern"), "^x"),
    "a body has another rule": more((*BODY, "allOf"), {"required": ["metadata"]}),
    "a body has one way less": lambda document: at(document, "components", "schemas", "AmendBody", "oneOf").pop(),
    "a body takes other names": set_to((*BODY, "properties", "metadata", "propertyNames"), {"maxLength": 4}),
    "an answer lacks a header": drop(*PLACE, "responses", "201", "headers", "ETag"),
    "a body knows a value less": less((*BODY, "properties", "currency", "enum"), "USD"),
}
HARMLESS = {
    "nothing": lambda document: None,
    "a new path": set_to(("paths", "/new"), {"get": {"operationId": "x", "responses": {}}}),
    "a new status": set_to((*PLACE, "responses", "299"), {"description": "?"}),
    "a new parameter": more((*LIST, "parameters"), {"name": "x", "in": "query", "schema": {"type": "string"}}),
    "another scope is enough too": more((*PLACE, "security"), {"token": ["orders:operate"]}),
    "an answer with a field more": set_to((*ORDER, "properties", "new"), {"type": "string"}),
    "an answer with a value more": more(("components", "schemas", "OrderStatus", "enum"), "lost"),
    "a body with a field more": set_to((*BODY, "properties", "new"), {"type": "string"}),
    "a body that takes more": set_to((*BODY, "properties", "items", "maxItems"), 5000),
    "a body that knows a value more": more((*BODY, "properties", "currency", "enum"), "XXX"),
    "another description": set_to((*BODY, "description"), "?"),
}


@pytest.mark.parametrize("what", BREAKING)
def test_a_change_that_breaks_clients_is_found(what: str) -> None:
    before = json.loads(DOCUMENT.read_text())
    after = copy.deepcopy(before)
    BREAKING[what](after)
    assert len(breaking_changes(before, after)) >= 1


@pytest.mark.parametrize("what", HARMLESS)
def test_a_change_that_breaks_nobody_is_not(what: str) -> None:
    before = json.loads(DOCUMENT.read_text())
    after = copy.deepcopy(before)
    HARMLESS[what](after)
    assert list(breaking_changes(before, after)) == []
