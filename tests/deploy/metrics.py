"""Which metrics there are, by the table in docs/operations.md, and which ones an expression asks for."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parent.parent.parent / "docs" / "operations.md"
OF_PROMETHEUS = frozenset({"namespace", "instance", "job", "le"})
"""Labels that Prometheus gives to what it fetches, and that of a histogram's buckets."""

_STRINGS = re.compile(r'"[^"]*"')
_TIMES = re.compile(r"\[[^\]]*\]")
_GROUPS = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_MATCHERS = re.compile(r"\{([^}]*)\}")
_NAMES = re.compile(r"\b[a-z_][a-z0-9_:]*\b(?!\s*\()")
_KEYWORDS = frozenset({"and", "or", "unless", "by", "offset"})


def documented() -> dict[str, frozenset[str]]:
    """Give each metric of the table, a histogram without ``_bucket``, ``_sum`` and ``_count``, with its labels."""
    rows = re.findall(r"^\| `([a-z_]+)` \| (?:counter|gauge|histogram) \|([^|]*)\|", PAGE.read_text(), re.MULTILINE)
    return {name: frozenset(re.findall(r"`(\w+)`", labels)) for name, labels in rows}


def histograms() -> frozenset[str]:
    """Give those of the table that are histograms."""
    return frozenset(re.findall(r"^\| `([a-z_]+)` \| histogram \|", PAGE.read_text(), re.MULTILINE))


def asked(expression: str) -> set[str]:
    """Name the metrics in an expression, histograms without ``_bucket``, ``_sum`` and ``_count``."""
    bare = _GROUPS.sub(" ", _MATCHERS.sub(" ", _TIMES.sub(" ", _STRINGS.sub(" ", expression))))
    return {_series(name) for name in _NAMES.findall(bare)} - _KEYWORDS


def labels(expression: str) -> set[str]:
    """Name the labels in an expression: those that it picks series by, and those that it keeps."""
    bare = _STRINGS.sub(" ", expression)
    kept = {name.strip() for group in _GROUPS.findall(bare) for name in group.split(",") if name.strip()}
    return kept | {name for matchers in _MATCHERS.findall(bare) for name in re.findall(r"(\w+)\s*[=!]", matchers)}


def _series(name: str) -> str:
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    return base if base in histograms() else name
