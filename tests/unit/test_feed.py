"""Those who follow orders: served by one poll, each from its own mark, and gone when they leave."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import ExitStack

import pytest

from api.feed import EventFeed, Follower
from orders.errors import DependencyUnavailable, Overloaded
from orders.model import EventType as E
from orders.settings import ApiSettings, load
from tests.fakes import FakeTrails

POLL = 0.01
SOON = 5.0


@pytest.fixture
def ledger() -> FakeTrails:
    return FakeTrails()


@pytest.fixture
def feed(ledger: FakeTrails) -> EventFeed:
    return EventFeed(ledger, max_waiting=100, poll=POLL)


async def seqs(follower: Follower) -> list[int]:
    return [event.seq for event in (await follower.next(SOON)).events]


async def test_one_question_serves_all_who_wait(ledger: FakeTrails, feed: EventFeed) -> None:
    with feed.follow("a", 0) as one, feed.follow("a", 0) as same, feed.follow("b", 0) as other:
        ledger.add("a", E.RECEIVED, E.VALIDATED)
        ledger.add("b", E.RECEIVED)
        assert [await seqs(each) for each in (one, same, other)] == [[1, 2], [1, 2], [1]]
    assert ledger.asked == [{"a": 0, "b": 0}]


async def test_nothing_is_given_twice_and_nothing_is_left_out(ledger: FakeTrails, feed: EventFeed) -> None:
    ledger.add("a", E.RECEIVED, E.VALIDATED, E.REVIEW_STARTED)
    with feed.follow("a", 2) as ahead, feed.follow("a", 0) as behind:
        assert [await seqs(ahead), await seqs(behind)] == [[3], [1, 2, 3]]
        ledger.add("a", E.REVIEW_PASSED)
        assert [await seqs(ahead), await seqs(behind)] == [[4], [4]]


async def test_who_comes_while_the_ledger_is_being_asked_misses_nothing(ledger: FakeTrails, feed: EventFeed) -> None:
    ledger.add("a", E.RECEIVED, E.VALIDATED, E.REVIEW_STARTED)
    ledger.at_answer.close()
    with feed.follow("a", 2):
        await ledger.at_answer.reached()
        with feed.follow("a", 0) as late:
            ledger.at_answer.open()
            assert await seqs(late) == [1, 2, 3]


async def test_what_comes_while_a_follower_is_busy_lies_ready(ledger: FakeTrails, feed: EventFeed) -> None:
    with feed.follow("a", 0) as follower, feed.follow("a", 0) as other:
        for kind in (E.RECEIVED, E.VALIDATED):
            ledger.add("a", kind)
            await seqs(other)
        assert await seqs(follower) == [1, 2]


async def test_the_event_that_ends_an_order_is_the_end(ledger: FakeTrails, feed: EventFeed) -> None:
    with feed.follow("a", 0) as follower:
        ledger.add("a", E.RECEIVED)
        assert not (await follower.next(SOON)).is_over
        ledger.add("a", E.REJECTED, E.REFUSED)
        assert (await follower.next(SOON)).is_over


async def test_who_waits_in_vain_gets_nothing_when_the_time_is_over(feed: EventFeed) -> None:
    with feed.follow("a", 7) as follower:
        trail = await follower.next(0.05)
    assert (trail.events, trail.reached, trail.is_over) == ([], 7, False)


async def test_nobody_asks_while_nobody_waits(ledger: FakeTrails, feed: EventFeed) -> None:
    before = len(asyncio.all_tasks())
    with feed.follow("a", 0), feed.follow("b", 0):
        await asyncio.sleep(5 * POLL)
    asked = len(ledger.asked)
    assert asked
    await asyncio.sleep(5 * POLL)
    assert (len(ledger.asked), len(asyncio.all_tasks())) == (asked, before)
    with feed.follow("a", 0) as again:
        ledger.add("a", E.RECEIVED)
        assert await seqs(again) == [1]


async def test_who_leaves_in_whatever_way_is_gone(feed: EventFeed) -> None:
    async def wait() -> None:
        with feed.follow("a", 0) as follower:
            await follower.next(SOON)

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(POLL)
    assert feed.waiting == 1
    waiting.cancel()
    await asyncio.wait([waiting])
    with pytest.raises(ZeroDivisionError), feed.follow("a", 0):
        raise ZeroDivisionError
    assert feed.waiting == 0


@pytest.mark.parametrize("error", [DependencyUnavailable("PostgreSQL", "it is away"), ValueError("a defect")])
async def test_those_who_wait_outlast_a_failure_of_the_ledger_which_is_said_once(
    ledger: FakeTrails, feed: EventFeed, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    ledger.away = error
    with feed.follow("a", 0) as follower:
        ledger.add("a", E.RECEIVED)
        with caplog.at_level(logging.WARNING):
            assert not (await follower.next(10 * POLL)).events
        ledger.away = None
        assert await seqs(follower) == [1]
    assert len(ledger.asked) > 2
    assert caplog.text.count("no events for those who wait") == 1


async def test_one_too_many_is_sent_away_until_there_is_room(ledger: FakeTrails) -> None:
    feed = EventFeed(ledger, max_waiting=2, poll=POLL)
    with feed.follow("a", 0):
        with feed.follow("b", 0), pytest.raises(Overloaded), feed.follow("c", 0):
            pass
        with feed.follow("c", 0):
            assert feed.waiting == 2


async def test_one_caller_does_not_take_every_place(ledger: FakeTrails) -> None:
    feed = EventFeed(ledger, max_waiting=4, max_each=2, poll=POLL)
    with feed.follow("a", 0, "ann"), feed.follow("b", 0, "ann"):
        with pytest.raises(Overloaded, match="you wait for events 2 times already"), feed.follow("c", 0, "ann"):
            pass
        with feed.follow("c", 0, "bob"):
            assert feed.waiting == 3
    with feed.follow("a", 0, "ann"):
        assert feed.waiting == 1


@pytest.mark.parametrize(("places", "each"), [(5, 2), (1, 1)])
async def test_by_default_a_caller_has_half_of_the_places_and_at_least_one(
    ledger: FakeTrails, places: int, each: int
) -> None:
    feed = EventFeed(ledger, max_waiting=places, max_each=load(ApiSettings).max_waiting_each, poll=POLL)
    with ExitStack() as waiting:
        for _ in range(each):
            waiting.enter_context(feed.follow("a", 0, "ann"))
        with pytest.raises(Overloaded):
            waiting.enter_context(feed.follow("a", 0, "ann"))
        assert feed.waiting == each


async def test_callers_without_a_name_may_be_many(ledger: FakeTrails) -> None:
    feed = EventFeed(ledger, max_waiting=3, max_each=1, poll=POLL)
    with feed.follow("a", 0), feed.follow("b", 0), feed.follow("c", 0):
        assert feed.waiting == 3


async def test_a_feed_that_closes_dismisses_all_who_wait_and_who_come_later(ledger: FakeTrails) -> None:
    feed = EventFeed(ledger, max_waiting=100, poll=POLL)
    began = time.monotonic()
    with ExitStack() as waiting:
        followers = [waiting.enter_context(feed.follow("a", 0)) for _ in range(3)]
        all_of_them = asyncio.gather(*(each.next(SOON) for each in followers))
        await asyncio.sleep(POLL)
        feed.close()
        followers.append(waiting.enter_context(feed.follow("a", 0)))
        trails = [*await all_of_them, await followers[3].next(SOON)]
    assert [(trail.events, trail.is_over) for trail in trails] == [([], False)] * 4
    assert all(each.is_dismissed for each in followers)
    assert time.monotonic() - began < SOON
