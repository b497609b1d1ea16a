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
    runs, and ``felt_after`` is how long it has to last in any.
    """

    name: str
    victims: Sequence[str]
    least: float
    most: float
    long: bool = False
    felt_after: float = 0.0


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
    # Processes look within a second, and some read their clocks seldom.
    Kind("set a clock ahead, or back", (CLOCKS,), 3.0, 6.0, felt_after=3.0),
    Kind("fill PostgreSQL's disk", (DISK,), 1.0, 4.0),
)


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


def places(victim: str, sorts: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """Name what suffers with a victim, in a fixed order: none of it is struck by two at once."""
    return {DISK: (DATABASE,), ANY_API: sorted(sorts["apis"])}.get(victim, (victim,))


def schedule(
    seed: int,
    seconds: float,
    gap: float,
    sorts: Mapping[str, Sequence[str]],
    *,
    without: Iterable[str] = (),
    impossible: Iterable[str] = (),
    brevity: float = 1.0,
) -> list[Fault]:
    """Draw faults for so many seconds, one about every ``gap`` seconds, each kind once before any comes again.

    ``sorts`` names the victims of each sort; ``without`` names kinds that are left out, and ``impossible`` those that
    are drawn as on any other machine and then skipped; each lasts as long as it does by its kind, times ``brevity``.
    No victim is struck while it still suffers from the last fault, and has half a gap to come back.
    """
    drawn, at = random.Random(seed), gap
    faults: list[Fault] = []
    free: dict[str, float] = defaultdict(float)
    left_out, skipped = set(without), set(impossible)
    kinds = [kind for kind in KINDS if kind.name not in left_out]
    while at < seconds:
        for kind in drawn.sample(kinds, len(kinds)):
            victim = drawn.choice([each for sort in kind.victims for each in sorts.get(sort, [sort])])
            lasts = max(kind.felt_after, round(brevity * drawn.uniform(kind.least, kind.most), 1))
            suffering = places(victim, sorts)
            at = max(at + drawn.uniform(0.5, 1.5) * gap, *(free[place] for place in suffering))
            if at >= seconds:
                return faults
            if kind.name not in skipped:
                faults.append(Fault(round(at, 1), kind.name, victim, lasts))
            free |= dict.fromkeys(suffering, at + lasts + gap / 2)
    return faults
