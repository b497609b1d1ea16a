"""What the clients of a run take as an answer, and what as a failure."""

from __future__ import annotations

import pytest

from tests.faults.customers import Message
from tests.faults.traffic import Traffic
from tests.scripted_api import Answer, ScriptedApi

CANCEL = Message(0, "shipped", "cancel", "key", {})
ORDER = {"id": "ord_1", "status": "shipped", "stuck": None}


@pytest.fixture(autouse=True)
def one_story(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.faults.customers.STORIES", {"cancelled late": (1, lambda _: ({}, [CANCEL]))})
    monkeypatch.setattr("tests.faults.traffic.LOOK_AGAIN", 0)


async def served(*statuses: int) -> Traffic:
    """Have one customer served by an API that answers so, one after the other."""
    with ScriptedApi() as api:
        api.answers += [Answer(status, ORDER) for status in statuses]
        traffic = Traffic([api.url], "secret", seed=1)
        await traffic.run(1, rate=100)
    assert api.answers == []
    return traffic


@pytest.mark.parametrize("status", [200, 400, 404, 409, 422, 500])
async def test_an_order_that_is_not_accepted_is_a_failure(status: int) -> None:
    traffic = await served(status)
    assert traffic.accepted == set()
    assert [line.split(" {")[0].partition(": ")[2] for line in traffic.failures] == [f"place: {status}"]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((201, 200, 200), []),
        ((503, 201, 503, 200, 504, 202, 200), []),
        ((201, 200, 409), []),
        ((201, 200, 404), ["ord_1: cancel: 404"]),
        ((201, 200, 422), ["ord_1: cancel: 422"]),
        ((201, 200, 500), ["ord_1: cancel: 500"]),
        ((201, 404, 200, 200), ["ord_1: look: 404"]),
        ((201, 500, 200, 200), ["ord_1: look: 500"]),
    ],
)
async def test_of_an_order_that_was_accepted_only_some_answers_are_right(
    statuses: tuple[int, ...], expected: list[str]
) -> None:
    traffic = await served(*statuses)
    assert traffic.accepted == {"ord_1"}
    assert [line.split(" {")[0] for line in traffic.failures] == expected
