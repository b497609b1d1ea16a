"""``make docs``: draws the tables of legal moves of ``orders/model.py`` into ``docs/lifecycle.md``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orders.model import (
    FINAL,
    ORDER_BY_EVENT,
    ORDER_MOVES,
    PAYMENT_BY_EVENT,
    PAYMENT_MOVES,
    REPEATABLE,
    SHIPMENT_BY_EVENT,
    SHIPMENT_MOVES,
)

ROOT = Path(__file__).parent.parent
PAGE = Path("docs/lifecycle.md")

_PLACE = re.compile(r"(<!-- picture: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def picture(moves: Mapping[Any, frozenset[Any]]) -> str:
    """Draw one axis as a Mermaid state diagram: every status, every legal move, and where it begins and ends."""
    lines: list[str] = ["```mermaid", "stateDiagram-v2", f"    [*] --> {next(iter(moves))}"]
    for before in moves:
        after = moves[before] | ({before} & REPEATABLE)
        lines += [f"    {before} --> {each}" for each in moves if each in after] or [f"    {before} --> [*]"]
    return "\n".join([*lines, "```", ""])


def events() -> str:
    """List which event moves which axis where."""
    lines = ["| event | order | payment | shipment |", "|---|---|---|---|"]
    known = list(dict.fromkeys([*ORDER_BY_EVENT, *PAYMENT_BY_EVENT, *SHIPMENT_BY_EVENT]))
    for event in known:
        cells = [table.get(event) for table in (ORDER_BY_EVENT, PAYMENT_BY_EVENT, SHIPMENT_BY_EVENT)]
        lines.append("| " + " | ".join([f"`{event}`", *(f"`{cell}`" if cell else "" for cell in cells)]) + " |")
    return "\n".join([*lines, ""])


def page(text: str) -> str:
    """Put the pictures into the page, between its marks."""
    drawn = {
        "order": picture(ORDER_MOVES),
        "payment": picture(PAYMENT_MOVES),
        "shipment": picture(SHIPMENT_MOVES),
        "events": events(),
        "ends": ", ".join(f"`{status}`" for status in ORDER_MOVES if status in FINAL) + "\n",
    }
    return _PLACE.sub(lambda found: found[1] + drawn[found[2]] + found[3], text)


if __name__ == "__main__":
    (ROOT / PAGE).write_text(page((ROOT / PAGE).read_text()))
