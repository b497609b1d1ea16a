"""Which form of an answer a client wants."""

from __future__ import annotations

import pytest

from api.media_types import wants

JSON, STREAM = "application/json", "text/event-stream"


@pytest.mark.parametrize(
    ("accept", "is_stream"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("text/html", False),
        ("text/event-stream", True),
        ("Text/Event-Stream", True),
        ("text/*", True),
        ("text/event-stream; charset=utf-8", True),
        ("text/event-stream, application/json", False),
        ("text/event-stream, application/json;q=0.9", True),
        ("text/event-stream;q=0.5, application/json;Q=0.4", True),
        ("text/event-stream;q=0.5, */*", False),
        ("text/event-stream, */*;q=0.1", True),
        ("text/event-stream;q=0", False),
        ("text/*;q=1, text/event-stream;q=0", False),
        ("application/json;q=0, text/event-stream;q=0.001", True),
        ("*/*, application/json;q=0.5", True),
        ("text/event-stream;q=much, application/json;q=0.5", True),
        (",;,q=1;;", False),
    ],
)
def test_the_wanted_form_is_the_one_that_the_most_specific_range_weighs_most(accept: str, is_stream: bool) -> None:
    assert wants(accept, STREAM, rather_than=JSON) is is_stream
