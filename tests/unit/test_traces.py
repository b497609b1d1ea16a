"""Which spans belong to an order, and what is said when they are not there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cli.client import ApiError
from cli.traces import TracesClient
from tests.kept_spans import FIRST, OTHER, link_to, span
from tests.scripted_api import Answer, ScriptedApi

THIRD = "c" * 32
ORDER: Any = {"id": "ord_1", "status": "completed"}


@pytest.fixture
def keeper() -> Iterator[ScriptedApi]:
    with ScriptedApi() as found:
        yield found


def event(seq: int, trace_id: str | None) -> Any:
    return {"seq": seq, "type": "received", "trace_id": trace_id}


def test_the_traces_are_those_of_the_events_and_those_that_the_first_is_linked_with(keeper: ScriptedApi) -> None:
    post = span("POST /orders")
    webhook = span("POST /webhooks/carrier", trace_id=THIRD)
    update = span("HandleSignal:carrier_event", post, links=[link_to(webhook)])
    cancel = span("POST /orders/{order_id}/cancel", trace_id=OTHER)
    keeper.answers = [Answer(200, [post, update]), Answer(200, [cancel]), Answer(200, [webhook])]
    events = [event(1, FIRST), event(2, None), event(3, OTHER), event(4, FIRST)]
    found = TracesClient(keeper.url).of(ORDER, events)
    assert [asked.path.rpartition("/")[2] for asked in keeper.requests] == [FIRST, OTHER, THIRD]
    assert found.spans == {FIRST: [post, update], OTHER: [cancel], THIRD: [webhook]}


def test_other_orders_that_were_placed_within_the_same_trace_are_left_out(keeper: ScriptedApi) -> None:
    mine, theirs = (span("record", attributes={"order.id": order_id}) for order_id in ("ord_1", "ord_2"))
    keeper.answers = [Answer(200, [mine, theirs])]
    assert TracesClient(keeper.url).of(ORDER, [event(1, FIRST)]).spans == {FIRST: [mine]}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(200, []), f"no span of trace {FIRST} is at "),
        (Answer.LOST, "nothing answers at "),
        (Answer(404, {"detail": "no"}), "does not keep spans: "),
        (Answer(200, {"not": "spans"}), "does not keep spans: "),
    ],
)
def test_spans_that_are_not_there_are_told_of_in_one_line_with_what_to_do(
    keeper: ScriptedApi, answer: Answer, told: str
) -> None:
    keeper.answers = [answer]
    with pytest.raises(ApiError) as refused:
        TracesClient(keeper.url).of(ORDER, [event(1, FIRST)])
    line = str(refused.value)
    assert told in line
    assert "ORDERS_TRACES_URL" in line or "not sampled" in line
    assert "\n" not in line


def test_an_order_without_a_trace_is_said_to_have_none() -> None:
    with pytest.raises(ApiError, match=r"ord_1 was placed without a trace: .*OTEL_"):
        TracesClient("http://127.0.0.1:9").of(ORDER, [event(1, None), event(2, OTHER)])


def test_an_address_at_which_nothing_is_names_the_setting() -> None:
    with pytest.raises(ApiError, match=r"nothing answers at http://127.0.0.1:9: .*ORDERS_TRACES_URL"):
        TracesClient("http://127.0.0.1:9").of(ORDER, [event(1, FIRST)])
