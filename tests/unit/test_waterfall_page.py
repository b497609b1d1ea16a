"""The waterfall as a page for a browser."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from cli.waterfall_page import page
from tests.kept_spans import FIRST, OTHER, attempt, link_to, span, waterfall

EVIL = "</script><script>alert('x')</script>\" onload=\"x"


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_what_spans_hold_is_text_wherever_it_stands() -> None:
    post = span(f"POST {EVIL}", to=50, service=EVIL, attributes={EVIL: EVIL, "n": [1]}, status="error", message=EVIL)
    asked = span(f"StartActivity:{EVIL}", post, 10)
    ran = attempt(asked, 1, 12, 20, EVIL)
    ran["events"] = [{"name": EVIL, "at": ran["end"], "attributes": {EVIL: EVIL}}]
    told = Tags(page(waterfall(post, asked, ran, status=EVIL)))
    assert "script" not in [tag for tag, _ in told.found]
    assert [attributes for _, attributes in told.found if "onload" in attributes] == []
    assert told.open == []
    assert told.text.count(EVIL) > 10


def test_the_page_needs_nothing_else_and_may_not_ask_for_it() -> None:
    text = page(waterfall(span("POST /orders", to=50)))
    assert "Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"" in text
    assert re.findall(r"\b(?:src|href)=|url\(|@import|://", text) == []


def test_each_row_has_its_details_behind_a_button_and_can_be_folded() -> None:
    post = span("POST /orders", to=50, attributes={"http.route": "/orders"})
    statement = span("SELECT", post, 10, 20, attributes={"db.query.text": "SELECT orders.id FROM orders"})
    statement["links"] = [link_to(span("other", trace_id=OTHER))]
    told = Tags(page(waterfall(post, statement)))
    targets = [str(attributes["popovertarget"]) for tag, attributes in told.found if tag == "button"]
    assert sorted(targets) == ["facts-0", "facts-1"]
    assert {attributes["id"] for _, attributes in told.found if "popover" in attributes} == set(targets)
    assert [tag for tag, _ in told.found].count("details") == 1
    assert f"trace {OTHER}" in told.text
    assert "SELECT orders.id FROM orders" in told.text
    assert FIRST in told.text
