"""The short form of ``python -m tests.faults``: each kind of fault that is soon over, once, while orders flow."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.run import Plan, run
from tests.faults.schedule import KINDS

PLAN = Plan(seed=11, orders=60, rate=4.5, gap=0.65, workers=1, brevity=0.3, is_short=True)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose name is short enough for a socket in it."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        yield Path(folder)


@pytest.mark.timeout(300)
async def test_whatever_dies_every_order_that_was_accepted_ends_right(short_folder: Path) -> None:
    outcome = await run(PLAN, short_folder, say=print, show=lambda _: None)
    assert outcome.violations == []
    assert len(outcome.traffic.accepted) == PLAN.orders
    assert outcome.states["completed"] > PLAN.orders / 3, "so few were delivered that little was tried"
    struck = Counter(done.fault.kind for done in outcome.faults)
    expected = {kind.name for kind in KINDS if not kind.long} - outcome.impossible.keys()
    assert expected - struck.keys() == set()
