"""Finds in a migration what code that knows only the former schema may fail on.

While a release is rolled out, and after a rollback, such code works on the new schema: a migration may only add what
that code does not notice. What takes something away says in ``contracts`` since which release no code uses it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

DROPS = {"drop_table", "drop_column", "rename_table", "drop_index"}
CONSTRAINS = {
    "create_unique_constraint",
    "create_check_constraint",
    "create_foreign_key",
    "create_exclude_constraint",
    "create_primary_key",
}
TIGHTENS = {"nullable": False, "server_default": None, "type_": ..., "new_column_name": ...}
"""What ``alter_column`` may be told that old code may fail on; ``...`` is any value."""
LOOSENS = {"check", "foreignkey"}
"""Constraints that nobody misses; a writer names the columns of a key in its ``on conflict``."""
CLAUSE = r"(?:[^;,()]|\([^()]*\))*"
SQL = re.compile(
    rf"""\b(
    drop\s+(?!not\s+null|constraint\s+(?:if\s+exists\s+)?"?\w+_(?:check|fkey)\b)\w+
    |rename|truncate|set\s+not\s+null|set\s+schema|revoke\s+\w+|(?:enable|force)\s+row\s+level\s+security
    |alter\s+(?:column\s+)?\S+\s+(?:set\s+data\s+)?type
    |create\s+(?:or\s+replace\s+)?(?:constraint\s+)?(?:trigger|rule|policy)|create\s+unique
    |add\s+(?:constraint|check|unique|primary|foreign|exclude)
    |add\s+(?!{CLAUSE}\b(?:default|generated|\w*serial)\b){CLAUSE}?\bnot\s+null
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""The same in SQL."""
INDEX = r"index\s+(?:concurrently\s+)?(?:if\s+(?:not\s+)?exists\s+)?([^\s;]+)"
CREATED, DROPPED = (re.compile(rf"{verb}\s+{INDEX}", re.IGNORECASE) for verb in ("create", "drop"))


def contractions(source: str) -> list[str]:
    """Say in which lines a migration takes away or tightens something, and how; what it creates itself is its own."""
    tree = ast.parse(source)
    own = {_text(call.args[0]) for call in _calls(tree) if _name(call) == "create_table"}
    own_indexes = {_text(call.args[0]) for call in _calls(tree) if _name(call) == "create_index"}
    found = [
        f"line {call.lineno}: {why}"
        for call in _calls(tree)
        if (why := _why(call))
        and not own & {_text(argument) for argument in call.args[:2]}
        and not (why == "drop_index" and _text(call.args[0]) in own_indexes)
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
    if name == "drop_constraint" and not _loosens(call, given):
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


def _loosens(call: ast.Call, given: dict[str | None, ast.expr]) -> bool:
    kind = given.get("type_") or (call.args[2] if len(call.args) > 2 else None)
    if isinstance(kind, ast.Constant):
        return kind.value in LOOSENS
    return str(ast.literal_eval(call.args[0])).endswith(("_check", "_fkey"))


def _statements(tree: ast.AST) -> Iterator[tuple[int, str]]:
    texts = list(_texts(tree))
    own = {name for _, sql in texts for name in CREATED.findall(sql)}
    for line, sql in texts:
        for said in SQL.finditer(sql):
            index = DROPPED.match(sql, said.start())
            if not (index and index[1] in own):
                yield line, " ".join(said[0].lower().split())


def _texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The texts of a migration but what documents it; what a formatted one leaves open stands there as such."""
    nodes = set(ast.walk(tree))
    documentation = {node.value for node in nodes if isinstance(node, ast.Expr)}
    parts = {part for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes - documentation - parts:
        if isinstance(node, ast.JoinedStr):
            told = (
                each.value if isinstance(each, ast.Constant) else ast.unparse(each).strip("f'\"{}")
                for each in node.values
            )
            yield node.lineno, "".join(str(each) for each in told)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def _name(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def _text(node: ast.expr | None) -> str | None:
    return ast.unparse(node) if node else None
