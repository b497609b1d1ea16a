"""A fault that strikes nobody is no fault."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.faults.customers import Customer
from tests.faults.injector import Done, Injector
from tests.faults.run import never_struck, unaccepted
from tests.faults.schedule import ANY_API, Fault
from tests.faults.system import Process, System
from tests.faults.traffic import Placed, Traffic

ANSWERED = Fault(0, "kill the API process that has just answered 201", ANY_API, 0)
PAUSED = Fault(0, "pause a worker", "payments-1", 0)


@pytest.fixture
def system(tmp_path: Path) -> System:
    """One of which nothing runs."""
    found = System(tmp_path)
    found.processes["payments-1"] = Process("payments-1", ["true"], {}, tmp_path / "log", "")
    return found


@pytest.fixture
def traffic() -> Traffic:
    return Traffic([], "secret", seed=1)


async def missed(system: System, traffic: Traffic, fault: Fault) -> str:
    """Let it strike, which it can't, and give what is said of it."""
    injector = Injector(system, traffic)
    await injector.run([fault])
    assert injector.done == []
    (miss,) = injector.missed
    return miss.why


async def test_whoever_answers_too_late_is_not_killed_then(
    system: System, traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.faults.injector.ANSWER_WITHIN", 0.01)
    assert await missed(system, traffic, ANSWERED) == "nobody was answered 201 within 0.01 s"
    assert traffic.on_placed == []


async def test_nobody_is_paused_who_has_left(system: System, traffic: Traffic) -> None:
    assert await missed(system, traffic, PAUSED) == "payments-1 had left by itself"


def test_a_kind_that_never_struck_is_told() -> None:
    done = [Done(PAUSED, datetime.now(UTC), datetime.now(UTC))]
    assert never_struck([PAUSED, ANSWERED], done) == [f"{ANSWERED.kind}: it was to strike, and never did"]


def test_an_order_that_was_never_accepted_is_told(traffic: Traffic) -> None:
    customer = Customer("plain", "key", {}, [])
    traffic.orders += [Placed(customer, "ord_1"), Placed(customer)]
    assert unaccepted(traffic) == ["2 orders were sent, and 1 accepted"]
