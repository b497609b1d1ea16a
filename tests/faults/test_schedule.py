"""What a seed draws: the same faults and the same customers each time."""

from __future__ import annotations

import itertools
from collections import defaultdict

from tests.faults.customers import STORIES, Writer
from tests.faults.schedule import ANY_API, CLOCKS, KINDS, Fault, places, schedule
from tests.faults.test_faults import PLAN

SORTS = {"workers": ["orders-1", "payments-1"], "apis": ["api-1", "api-2"], CLOCKS: ["orders-1", "api-1", "postgres"]}


def drawn(seed: int, seconds: float = 300) -> list[Fault]:
    return schedule(seed, seconds, 3, SORTS)


def test_the_same_seed_draws_the_same_faults_and_another_one_others() -> None:
    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_the_same_seed_invents_the_same_customers() -> None:
    one, same, other = ([writer.customer() for _ in range(50)] for writer in (Writer(1), Writer(1), Writer(2)))
    assert one == same
    assert one != other


def test_each_kind_strikes_before_any_strikes_again() -> None:
    kinds = [fault.kind for fault in drawn(1)]
    assert set(kinds[: len(KINDS)]) == {kind.name for kind in KINDS}


def test_nobody_is_struck_while_he_still_suffers() -> None:
    ends: dict[str, float] = defaultdict(float)
    for fault in drawn(1, 1000):
        for place in places(fault.victim, SORTS):
            assert fault.at >= ends[place]
            ends[place] = fault.at + fault.lasts


def test_whoever_is_struck_as_any_api_may_be_each_of_them() -> None:
    assert list(places(ANY_API, SORTS)) == SORTS["apis"]
    assert list(places("disk", SORTS)) == ["postgres"]


def test_a_machine_that_allows_less_draws_the_same_and_skips_it() -> None:
    impossible = {"set a clock ahead, or back", "fill PostgreSQL's disk"}
    found = schedule(1, 300, 3, SORTS, impossible=impossible)
    assert found == [fault for fault in drawn(1) if fault.kind not in impossible]


def test_a_clock_is_wrong_for_long_enough_to_be_felt() -> None:
    lasts = [fault.lasts for fault in schedule(1, 300, 3, SORTS, brevity=0.1) if "clock" in fault.kind]
    assert min(lasts) >= 3


def test_what_is_not_wanted_is_left_out() -> None:
    without = {kind.name for kind in KINDS[3:]}
    assert {fault.kind for fault in schedule(1, 100, 3, SORTS, without=without)} == {kind.name for kind in KINDS[:3]}


def test_the_short_form_has_time_for_each_kind_of_fault() -> None:
    long = {kind.name for kind in KINDS if kind.long}
    seconds = PLAN.orders / PLAN.rate
    faults = schedule(PLAN.seed, seconds, PLAN.gap, SORTS, without=long, brevity=PLAN.brevity)
    assert {fault.kind for fault in faults} == {kind.name for kind in KINDS} - long


def test_orders_of_every_story_come() -> None:
    writer = Writer(1)
    stories = [customer.story for customer in (writer.customer() for _ in range(1000))]
    assert set(stories) == set(STORIES)
    # Keys name requests: two with the same one would be one.
    writer = Writer(1)
    customers = [writer.customer() for _ in range(100)]
    keys = [customer.key for customer in customers] + [each.key for one in customers for each in one.messages[:1]]
    assert all(one != other for one, other in itertools.combinations(keys, 2))
