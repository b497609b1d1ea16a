"""Finds in a migration what code that knows only the former schema may fail on.

While a release is rolled out, and after a rollback, such code works on the new schema: a migration may only add what
that code does not notice. What takes something away says in ``contracts`` since which release no code uses it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

DROPS = {"drop_table", "drop_column", "rename_table"}
CONSTRAINS = {
    "create_unique_constraint",
    "create_check_constraint",
    "create_foreign_key",
    "create_exclude_constraint",
    "create_primary_key",
}
TIGHTENS = {"nullable": False, "server_default": None, "type_": ..., "new_column_name": ...}
"""What ``alter_column`` may be told that old code may fail on; ``...`` is any value."""
SQL = re.compile(
    r"\b(drop\s+(table|column|schema|view|type)|rename|set\s+not\s+null|drop\s+default|add\s+(constraint|check|unique)"
    r"|alter\s+column\s+\S+\s+(set\s+data\s+)?type|create\s+unique|truncate)\b",
    re.IGNORECASE,
)
"""The same in SQL."""


def contractions(source: str) -> list[str]:
    """Say in which lines a migration takes away or tightens something, and how; what it creates itself is its own."""
    tree = ast.parse(source)
    own = {_text(call.args[0]) for call in _calls(tree) if _name(call) == "create_table"}
    found = [
        f"line {call.lineno}: {why}"
        for call in _calls(tree)
        if (why := _why(call)) and not own & {_text(argument) for argument in call.args[:2]}
    ]
    return [*found, *(f"line {line}: {sql}" for line, sql in _statements(tree))]


def contracts(source: str) -> str | None:
    """Give what a migration says itself: the first release whose code doesn't use any more what goes."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["contracts"]:
            return str(ast.literal_eval(node.value))
    return None


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _why(call: ast.Call) -> str | None:
    name, given = _name(call), {each.arg: each.value for each in call.keywords}
    if name in DROPS | CONSTRAINS:
        return name
    if name == "create_index" and _text(given.get("unique")) == "True":
        return "create_index, unique"
    if name == "alter_column":
        told = next((key for key, value in TIGHTENS.items() if key in given and _is(given[key], value)), None)
        return f"alter_column, {told}" if told else None
    if name == "add_column":
        column = {
            each.arg: each.value for node in call.args[1:] if isinstance(node, ast.Call) for each in node.keywords
        }
        is_wanted = _text(column.get("nullable")) == "False" and not {"server_default", "identity"} & column.keys()
        return "add_column, without a default" if is_wanted else None
    return None


def _is(given: ast.expr, value: Any) -> bool:
    return value is ... or _text(given) == repr(value)


def _statements(tree: ast.AST) -> Iterator[tuple[int, str]]:
    documentation = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in set(ast.walk(tree)) - documentation:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and (said := SQL.search(node.value)):
            yield node.lineno, said[0].lower()


def _name(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def _text(node: ast.expr | None) -> str | None:
    return ast.unparse(node) if node else None
