"""What commands print, whoever has written it."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.table import Table
from rich.text import Text

from cli import show
from cli.terminal import Screen
from tests.examples import body

EVIL = {
    "a colour": "John\x1b[31m",
    "another title": "\x1b]0;pwned\x07John",
    "a line of its own": "John\r\x0b\x85order  paid",
    "eight bits": "\x9b2JJohn",
    "turned around": "\u202eenhoJ\u2066",
}


def printed(what: object) -> str:
    screen = Screen(file=StringIO(), force_terminal=True, color_system=None, width=120, highlight=False)
    screen.print(what)
    assert isinstance(screen.file, StringIO)
    return screen.file.getvalue()


@pytest.mark.parametrize("text", EVIL.values(), ids=EVIL)
def test_no_text_steers_the_terminal(text: str) -> None:
    table = Table("name", box=None)
    table.add_row(Text(text))
    for shown in (printed(Text(text)), printed(text), printed(table)):
        assert all(each.isprintable() or each == "\n" for each in shown), repr(shown)
        assert "\N{REPLACEMENT CHARACTER}" in shown


def test_an_order_is_shown_as_it_is_whoever_has_answered() -> None:
    order = {
        **body(customer_name=EVIL["another title"]),
        "id": f"ord_{'0' * 24}\x1b[2J",
        "status": "paid\x1b[2J",
        "stuck": "why\x1b[2J",
        "total": "9.99\x1b[2J",
        "currency": "USD",
        "payment": {"status": "captured", "captured": "9.99", "refunded": "0.00"},
        "shipments": [],
    }
    order["items"] = [{"sku": "A\x1b[2J", "qty": 1, "price": "9.99"}]
    shown = printed(show.order_view(order))  # type: ignore[arg-type]
    assert "\x1b" not in shown
    assert "John" in shown


@pytest.mark.parametrize("text", ["Zoë 田中さん", "علي", "👩\u200d👧", "a\nb"])
def test_what_is_only_text_stays_as_it_is(text: str) -> None:
    assert printed(Text(text)) == f"{text}\n"
