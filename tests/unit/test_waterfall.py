"""What an order's spans look like as a waterfall."""

from __future__ import annotations

import re
from typing import Any

import pytest
from rich.console import Console

from cli.timescale import HOUR, MILLISECOND
from cli.traces import OrderTraces
from cli.waterfall import GOES_ON, Part, Waterfall
from cli.waterfall_terminal import WaterfallView
from tests.kept_spans import FIRST, OTHER, START, attempt, link_to, row, span, waterfall

POST = span("POST /orders", kind="server", service="orders-api", to=50, attributes={"http.response.status_code": 201})
START_WORKFLOW = span("StartWorkflow:OrderWorkflow", POST, 10, 40, kind="client", service="orders-api")
RUN = span("RunWorkflow:OrderWorkflow", START_WORKFLOW, 30)
COMPLETE = span("CompleteWorkflow:OrderWorkflow", START_WORKFLOW, 900)
AUTHORIZE = span("StartActivity:authorize", START_WORKFLOW, 100)
BEGIN = (POST, START_WORKFLOW, RUN)


def drawn(found: Waterfall, width: int = 120, is_terminal: bool = False) -> str:
    console = Console(width=width, force_terminal=is_terminal, color_system="standard" if is_terminal else None)
    with console.capture() as said:
        console.print(WaterfallView(found), soft_wrap=True)
    return said.get()


def test_a_workflow_is_one_row_from_its_begin_to_its_end_in_which_everything_of_it_is() -> None:
    found = waterfall(*BEGIN, COMPLETE, AUTHORIZE, attempt(AUTHORIZE, 1, 112, 120))
    (post,) = found.blocks[0].rows
    (start,) = post.rows
    (workflow,) = start.rows
    assert (post.name, post.note, start.name) == ("POST /orders", "→ 201", "StartWorkflow OrderWorkflow")
    assert (workflow.name, workflow.note, workflow.waited) == ("OrderWorkflow", "", "waited 20 ms for a worker")
    assert workflow.end == START + 900 * MILLISECOND
    assert [each.name for each in workflow.rows] == ["authorize"]
    assert found.took == "900 ms"


def test_what_an_activity_waited_in_its_queue_is_a_part_of_its_bar() -> None:
    authorize = row(waterfall(*BEGIN, AUTHORIZE, attempt(AUTHORIZE, 1, 112, 120)), "authorize")
    begin, work, end = (START + at * MILLISECOND for at in (100, 112, 120))
    assert authorize.parts == (Part(begin, work, "waiting"), Part(work, end, "work"))
    assert (authorize.where, authorize.waited) == ("payments", "waited 12 ms on queue payments")


def test_a_local_activity_waits_in_no_queue() -> None:
    asked = span("StartActivity:record", START_WORKFLOW, 50)
    ran = span("RunActivity:record", asked, 55, 60, attributes={"task.queue": "orders", "attempt": 1})
    assert row(waterfall(*BEGIN, asked, ran), "record").waited == "waited 5.0 ms for its turn"


def test_each_attempt_is_a_row_with_its_error_and_what_it_did() -> None:
    first, second = attempt(AUTHORIZE, 1, 110, 120, "PartnerUnavailable: away\nmore"), attempt(AUTHORIZE, 2, 400, 410)
    query = {"db.query.text": "WITH written AS \n(INSERT INTO orders (id) SELECT anon_1.id"}
    statement = span("WITH", second, 402, 405, service="orders-worker-payments", attributes=query)
    found = waterfall(*BEGIN, AUTHORIZE, first, second, statement)
    authorize = row(found, "authorize")
    assert (authorize.note, authorize.error) == ("2 attempts", "")
    assert [part.kind for part in authorize.parts] == ["waiting", "failed", "waiting", "work"]
    assert row(found, "attempt 1").error == "PartnerUnavailable: away"
    assert [each.name for each in row(found, "attempt 2").rows] == ["INSERT INTO orders"]
    assert "✗ PartnerUnavailable: away\n" in drawn(found)


@pytest.mark.parametrize(
    ("survived", "note"),
    [
        ([2], "2 attempts; no span of attempt 1: its worker was lost"),
        ([2, 3], "3 attempts; no span of attempt 1: its worker was lost"),
        ([1, 3], "3 attempts; no span of attempt 2: its worker was lost"),
    ],
)
def test_a_try_that_ended_with_its_worker_is_no_wait_for_one(survived: list[int], note: str) -> None:
    tries = [attempt(AUTHORIZE, number, 15_000 * number, 15_000 * number + 100) for number in survived]
    authorize = row(waterfall(*BEGIN, AUTHORIZE, *tries), "authorize")
    assert authorize.note == note
    assert [each.name for each in authorize.rows] == [f"attempt {number}" for number in survived]
    assert [part.kind for part in authorize.parts].count("failed") == 1
    assert ("on queue" in authorize.waited) is (1 in survived)


@pytest.mark.parametrize("asked", ["StartActivity:authorize", "StartChildWorkflow:ShippingWorkflow"])
def test_what_nobody_has_taken_is_said_not_to_have_begun(asked: str) -> None:
    found = waterfall(*BEGIN, span(asked, START_WORKFLOW, 100))
    assert row(found, asked.partition(":")[2]).note == "not begun yet"


def test_a_child_workflow_stands_within_the_one_that_started_it() -> None:
    child = span("StartChildWorkflow:ShippingWorkflow", START_WORKFLOW, 200)
    place = "orders-worker-shipping"
    begins = span("RunWorkflow:ShippingWorkflow", child, 230, service=place)
    ends = span("CompleteWorkflow:ShippingWorkflow", child, 500, service=place)
    found = waterfall(*BEGIN, COMPLETE, child, begins, ends)
    assert [each.name for each in row(found, "OrderWorkflow").rows] == ["ShippingWorkflow"]
    shipping_row = row(found, "ShippingWorkflow")
    assert (shipping_row.where, shipping_row.waited) == ("orders-worker-shipping", "waited 30 ms for a worker")


def test_an_order_that_is_not_at_its_end_is_drawn_as_far_as_it_is() -> None:
    found = waterfall(*BEGIN, AUTHORIZE, attempt(AUTHORIZE, 1, 112, 120), status="paid", now=30_000)
    workflow = row(found, "OrderWorkflow")
    assert (workflow.note, workflow.end) == (GOES_ON, START + 30_000 * MILLISECOND)
    assert found.took == "30.00 s so far"


def test_an_order_at_its_end_of_which_no_span_came_does_not_go_on() -> None:
    found = waterfall(*BEGIN, AUTHORIZE, attempt(AUTHORIZE, 1, 112, 120), status="failed", now=30_000)
    assert row(found, "OrderWorkflow").end == START + 120 * MILLISECOND


def test_a_span_whose_parent_is_not_here_stands_at_the_top() -> None:
    lost = span("StartWorkflow:OrderWorkflow")
    found = waterfall(POST, span("RunWorkflow:OrderWorkflow", lost, 30), span("StartActivity:authorize", lost, 40))
    assert [each.name for each in found.blocks[0].rows] == ["POST /orders", "OrderWorkflow"]
    assert [each.name for each in row(found, "OrderWorkflow").rows] == ["authorize"]


@pytest.mark.parametrize(
    ("is_linked_here", "is_linked_there", "told"),
    [
        (True, True, "linked with update cancel"),
        (True, False, "linked from update cancel"),
        (False, True, "links to the order's trace"),
        (False, False, "named by event 4 cancel_requested"),
    ],
)
def test_a_message_that_came_later_is_a_block_of_its_own_that_says_how_it_is_linked(
    is_linked_here: bool, is_linked_there: bool, told: str
) -> None:
    cancel = span("POST /orders/{order_id}/cancel", at=300, to=350, trace_id=OTHER, kind="server", service="orders-api")
    update = span("HandleUpdate:cancel", START_WORKFLOW, 310, links=[link_to(cancel)] if is_linked_here else [])
    validate = span("ValidateUpdate:cancel", START_WORKFLOW, 310, links=update["links"])
    cancel["links"] = [link_to(POST)] if is_linked_there else []
    events = [{"seq": 4, "type": "cancel_requested", "trace_id": OTHER}]
    found = waterfall(*BEGIN, update, validate, cancel, events=events)
    assert [(block.trace_id, block.about) for block in found.blocks] == [(FIRST, ""), (OTHER, told)]
    assert [each.name for each in row(found, "OrderWorkflow").rows] == ["update cancel"]


def test_a_message_that_was_refused_did_not_end_the_workflow() -> None:
    asked = span("HandleUpdate:review", START_WORKFLOW, 300)
    raised = {"exception.message": "Refused: the order is paid: it waits for no review"}
    refusal = span(
        "CompleteWorkflow:OrderWorkflow",
        START_WORKFLOW,
        310,
        events=[{"name": "exception", "at": START, "attributes": raised}],
    )
    found = waterfall(*BEGIN, asked, refusal, AUTHORIZE)
    assert row(found, "update review").error == raised["exception.message"]
    assert row(found, "OrderWorkflow").note == GOES_ON


def test_a_long_wait_is_cut_short_and_said_to_be() -> None:
    update = span("HandleUpdate:review", START_WORKFLOW, 3_600_000)
    later = span("StartActivity:authorize", START_WORKFLOW, 3_600_010)
    spans = (*BEGIN, update, later, attempt(later, 1, 3_600_030, 3_600_080))
    found = waterfall(*spans)
    scale = found.scale
    (cut,) = scale.cuts
    assert cut[1] - cut[0] > 0.99 * HOUR
    # The work is all to be seen: before the wait and after it.
    assert scale.at(cut[0]) > 0.3
    assert scale.at(cut[1]) < 0.7
    assert scale.moment(scale.at(cut[1])) == pytest.approx(cut[1], abs=MILLISECOND)
    assert "≈ cut short: 59 min 59 s without work" in drawn(found)
    assert "1 h 0 min" in drawn(found)


def test_short_waits_are_drawn_in_proportion() -> None:
    scale = waterfall(*BEGIN, AUTHORIZE, attempt(AUTHORIZE, 1, 800, 1000)).scale
    assert scale.cuts == ()
    assert scale.at(START + 250 * MILLISECOND) == pytest.approx(0.25)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_picture_is_as_wide_as_the_terminal(width: int) -> None:
    found = waterfall(*BEGIN, AUTHORIZE, attempt(AUTHORIZE, 1, 112, 120, "x" * 300))
    lines = re.sub(r"\x1b\[[0-9;]*m", "", drawn(found, width, is_terminal=True)).splitlines()
    assert max(map(len, lines)) == width
    assert any("█" in line for line in lines)


def test_what_steers_a_terminal_is_not_printed() -> None:
    assert "\x1b" not in drawn(waterfall(span("POST /\x1b[2J", to=5, status="error", message="\x1b]0;x")))


def test_a_trace_of_which_nothing_is_left_is_said_to_be_empty() -> None:
    order: Any = {"id": "ord_1", "status": "completed"}
    events: Any = [{"seq": 2, "type": "cancel_requested", "trace_id": OTHER}]
    found = Waterfall.of(OrderTraces(order, events, {FIRST: list(BEGIN), OTHER: []}))
    assert found.blocks[1].about == "named by event 2 cancel_requested"
    assert f"trace {OTHER}  named by event 2 cancel_requested\nno span of it is kept" in drawn(found)
