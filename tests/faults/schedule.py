"""Which fault strikes whom and when, drawn from a seed."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of fault: whom it may strike, and for how many seconds.

    ``victims`` are named one by one or, as ``workers`` and ``apis``, all of a sort. ``long`` leaves it out of short
    runs.
    """

    name: str
    victims: Sequence[str]
    least: float
    most: float
    long: bool = False


DATABASE, TEMPORAL = "postgres", "temporal"
TO_DATABASE, TO_TEMPORAL = "to_postgres", "to_temporal"
DISK, CLOCKS, ANY_API = "disk", "clocks", "any api"
KINDS = (
    Kind("kill a worker", ("workers",), 0.0, 2.0),
    Kind("kill an API process", ("apis",), 0.0, 2.0),
    Kind("kill the API process that has just answered 201", (ANY_API,), 0.0, 1.0),
    Kind("pause a worker", ("workers",), 1.0, 4.0),
    Kind("pause a worker for longer than its tasks may take", ("workers",), 11.0, 14.0, long=True),
    Kind("pause an API process", ("apis",), 0.5, 2.0),
    Kind("stop PostgreSQL, fast", (DATABASE,), 0.0, 3.0),
    Kind("stop PostgreSQL, immediate", (DATABASE,), 0.0, 3.0),
    Kind("kill PostgreSQL", (DATABASE,), 0.0, 3.0),
    Kind("stop Temporal", (TEMPORAL,), 0.0, 2.0),
    Kind("kill Temporal", (TEMPORAL,), 0.0, 2.0),
    Kind("cut a connection", (TO_DATABASE, TO_TEMPORAL), 0.0, 2.0),
    Kind("stall a connection", (TO_DATABASE, TO_TEMPORAL), 1.0, 6.0),
    Kind("slow a connection", (TO_DATABASE, TO_TEMPORAL), 1.0, 4.0),
    Kind("lock the table of orders", (DATABASE,), 1.0, 4.0),
    Kind("take all connections of PostgreSQL", (DATABASE,), 1.0, 4.0),
    Kind("set a clock ahead, or back", (CLOCKS,), 2.0, 6.0),
    Kind("fill PostgreSQL's disk", (DISK,), 1.0, 4.0),
)
SAME = {DISK: DATABASE}
"""What can't be struck at once, besides itself."""


@dataclass(frozen=True)
class Fault:
    """A fault of a kind: ``at`` seconds after the start, for ``lasts`` seconds."""

    at: float
    kind: str
    victim: str
    lasts: float

    def __str__(self) -> str:
        """One line of the printed schedule."""
        return f"{self.at:7.1f} s  {self.kind}: {self.victim}, {self.lasts:.1f} s"


def schedule(
    seed: int,
    seconds: float,
    gap: float,
    sorts: Mapping[str, Sequence[str]],
    *,
    without: Iterable[str] = (),
    brevity: float = 1.0,
) -> list[Fault]:
    """Draw faults for so many seconds, one about every ``gap`` seconds, each kind once before any comes again.

    ``sorts`` names the victims of each sort; ``without`` names kinds that are left out; each lasts as long as it does
    by its kind, times ``brevity``. No victim is struck while it still suffers from the last fault, and has half a gap
    to come back.
    """
    drawn, at = random.Random(seed), gap
    faults: list[Fault] = []
    free: dict[str, float] = defaultdict(float)
    left_out = set(without)
    kinds = [kind for kind in KINDS if kind.name not in left_out]
    while at < seconds:
        for kind in drawn.sample(kinds, len(kinds)):
            victim = drawn.choice([each for sort in kind.victims for each in sorts.get(sort, [sort])])
            lasts = round(brevity * drawn.uniform(kind.least, kind.most), 1)
            place = SAME.get(victim, victim)
            at = max(at + drawn.uniform(0.5, 1.5) * gap, free[place])
            if at >= seconds:
                return faults
            faults.append(Fault(round(at, 1), kind.name, victim, lasts))
            free[place] = at + lasts + gap / 2
    return faults
