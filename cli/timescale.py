"""Time on a line: in proportion, but for long stretches in which nothing happens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MILLISECOND, SECOND = 10**6, 10**9
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86400 * SECOND
_UNITS = ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min"), (MINUTE, "min", SECOND, "s"))
IDLE = 3
"""How many times as long as all work together a stretch without any is cut short."""
WIDEST = 0.08
"""Which part of the line such a stretch takes at most; all of them take less than half of it."""

Stretch = tuple[int, int]


def duration(nanoseconds: int) -> str:
    """Write a time as people do: ``5.3 ms``, ``3.26 s``, ``2 h 5 min``."""
    if not nanoseconds:
        return "0"
    if nanoseconds < 10 * MILLISECOND:
        return f"{nanoseconds / MILLISECOND:.1f} ms"
    if nanoseconds < SECOND:
        return f"{nanoseconds / MILLISECOND:.0f} ms"
    if nanoseconds < MINUTE:
        return f"{nanoseconds / SECOND:.2f} s"
    larger, name, smaller, of_it = next(unit for unit in _UNITS if nanoseconds >= unit[0])
    return f"{nanoseconds // larger} {name} {nanoseconds % larger // smaller} {of_it}"


@dataclass(frozen=True)
class Timescale:
    """Where moments, in nanoseconds, stand on a line from 0 to 1; ``cuts`` are drawn shorter than they are."""

    start: int
    end: int
    cuts: tuple[Stretch, ...] = ()

    @classmethod
    def over(cls, start: int, end: int, work: Iterable[Stretch]) -> Timescale:
        """Make one on which the work can be seen, however long it waits in between."""
        idle, worked, until = [], 0, start
        for begins, ends in sorted(work):
            idle.append((until, begins))
            worked += max(ends - max(begins, until), 0)
            until = max(until, ends)
        idle.append((until, end))
        longest = max(IDLE * worked, SECOND)
        return cls(start, end, tuple(each for each in idle if each[1] - each[0] > longest))

    def at(self, moment: int) -> float:
        """Say where a moment stands."""
        before = sum(max(min(moment, ends) - begins, 0) for begins, ends in self.cuts)
        cut = sum(max(min(moment, ends) - begins, 0) / (ends - begins) for begins, ends in self.cuts)
        return (moment - self.start - before) / self._per_drawn + cut * self._width

    def moment(self, place: float) -> int:
        """Say which moment stands there."""
        drawn = self.start
        for begins, ends in self.cuts:
            if place <= self.at(begins):
                break
            if place < self.at(ends):
                return begins + round((place - self.at(begins)) / self._width * (ends - begins))
            drawn = ends
        return drawn + round((place - self.at(drawn)) * self._per_drawn)

    @property
    def _width(self) -> float:
        return min(WIDEST, 0.4 / len(self.cuts)) if self.cuts else 0.0

    @property
    def _per_drawn(self) -> float:
        drawn = self.end - self.start - sum(ends - begins for begins, ends in self.cuts)
        return max(drawn, 1) / (1 - len(self.cuts) * self._width)
