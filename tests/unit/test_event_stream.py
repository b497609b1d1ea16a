"""How long a stream of events lasts."""

from __future__ import annotations

import asyncio

import pytest

from api import event_stream
from api.feed import Follower
from orders.errors import DependencyUnavailable
from orders.ledger.reader import Trail

ALIVE, OVER = Trail([], reached=4, is_over=False), Trail([], reached=4, is_over=True)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "KEEP_ALIVE", 0.01)


class Reads:
    """A ledger that answers so, one after the other, and the last for ever."""

    def __init__(self, *answers: Trail | Exception) -> None:
        self.answers = list(answers)
        self.marks: list[int] = []

    async def __call__(self, mark: int) -> Trail:
        self.marks.append(mark)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def streamed(reads: Reads) -> list[bytes]:
    async with asyncio.timeout(5):
        return [part async for part in event_stream._messages(ALIVE, Follower("ord_1", 4), reads)]


async def test_it_ends_when_the_order_has_ended_before_what_was_seen() -> None:
    # An event that a dead worker had written, and that never counted, may have been beyond the end.
    reads = Reads(ALIVE, OVER)
    assert await streamed(reads) == [b"retry: 1000\n\n", b": ping\n\n", b": ping\n\n"]
    assert reads.marks == [4, 4]


async def test_it_goes_on_while_the_database_is_away() -> None:
    assert len(await streamed(Reads(DependencyUnavailable("PostgreSQL", "gone"), OVER))) == 3


async def test_it_ends_after_a_while_so_that_its_reader_shows_a_token_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "LONGEST", 0.05)
    reads = Reads(ALIVE)
    assert len(await streamed(reads)) >= 2
    assert reads.marks
