"""A waterfall in a terminal: lines of text, as wide as there is room."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from cli import show
from cli.timescale import Timescale, duration
from cli.waterfall import Block, Row, Waterfall

PAGE = 120
"""How many letters wide a picture is that is not drawn on a terminal."""
_NARROW = 100
"""On what is narrower there is no room to say where something happened."""
_LONGEST_NAME, _TIME, _LEAST_BAR = 50, 11, 16
_BARS = {"waiting": ("░", "yellow"), "work": ("█", "green"), "failed": ("█", "red"), "life": ("━", "blue")}
_CUT = "≈"


class WaterfallView:
    """The picture of a waterfall, for ``Console.print``."""

    def __init__(self, waterfall: Waterfall) -> None:
        self._waterfall = waterfall

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it in the room there is."""
        width = options.max_width if console.is_terminal else max(options.max_width, PAGE)
        for line in _Picture(self._waterfall, width).lines():
            line.truncate(width, overflow="ellipsis")
            line.no_wrap, line.overflow = True, "ignore"
            yield line


class _Picture:
    def __init__(self, waterfall: Waterfall, width: int) -> None:
        self._waterfall, self._scale = waterfall, waterfall.scale
        rows = [each for block in waterfall.blocks for each in _with_depth(block.rows)]
        self._where = max(len("where"), *(len(row.where) for row, _ in rows)) + 1 if width >= _NARROW else 0
        room = width - self._where - 3 * _TIME - 1
        self._names = min(max(_label(row, depth).cell_len for row, depth in rows) + 1, _LONGEST_NAME, room - _LEAST_BAR)
        self._bar = room - self._names

    def lines(self) -> Iterator[Text]:
        found = self._waterfall
        yield Text("order ") + Text(found.order_id, style="bold") + Text("  ") + show.coloured(found.status)
        traces = f"{len(found.blocks)} traces" if len(found.blocks) > 1 else "one trace"
        yield Text(f"{found.took} in {traces}; ░ waits  █ works  ━ lives", style="dim")
        if cuts := [duration(ends - begins) for begins, ends in self._scale.cuts]:
            yield Text(f"{_CUT} cut short: {', '.join(cuts)} without work", style="dim")
        for block in found.blocks:
            yield from self._block(block)

    def _block(self, block: Block) -> Iterator[Text]:
        yield Text()
        about = f"  {_plain(block.about)}" if block.about else ""
        yield Text(f"trace {block.trace_id}", style="bold") + Text(about, style="dim")
        if not block.rows:
            yield Text("no span of it is kept", style="dim")
            return
        yield self._line("", "where", ("after", "waited", "took"), _ruler(self._scale, self._bar), "dim")
        for row, depth in _with_depth(block.rows):
            yield self._row(row, depth)
            if row.error:
                yield Text(f"{'  ' * depth}✗ {_plain(row.error)}", style="red")

    def _row(self, row: Row, depth: int) -> Text:
        is_bare = row.start == row.end
        after, took = duration(row.start - self._scale.start), duration(row.end - row.start - row.waiting)
        times = (after, duration(row.waiting) if row.waiting else "", "" if is_bare else took)
        return self._line(_label(row, depth), _plain(row.where), times, self._drawn(row))

    def _line(self, name: str | Text, where: str, times: tuple[str, ...], bar: str | Text, style: str = "") -> Text:
        line = Text(style=style)
        for cell, width in ((name, self._names), (where, self._where)):
            text = cell.copy() if isinstance(cell, Text) else Text(cell)
            text.truncate(max(width - 1, 0), overflow="ellipsis")
            text.align("left", width)
            line.append_text(text)
        for time in times:
            line.append(f"{time:>{_TIME - 1}} ")
        return line + Text(" ") + (bar if isinstance(bar, Text) else Text(bar))

    def _drawn(self, row: Row) -> Text:
        cells = [(" ", "")] * self._bar
        # What is short covers what is long.
        for part in sorted(row.parts, key=lambda part: part.kind in ("work", "failed")):
            first = min(int(self._scale.at(part.start) * self._bar), self._bar - 1)
            last = max(first + 1, round(self._scale.at(part.end) * self._bar))
            cells[first:last] = [_BARS[part.kind]] * (last - first)
        return Text("").join(Text(letter, style=style) for letter, style in cells)


def _with_depth(rows: tuple[Row, ...], depth: int = 0) -> Iterator[tuple[Row, int]]:
    for row in rows:
        yield row, depth
        yield from _with_depth(row.rows, depth + 1)


def _label(row: Row, depth: int) -> Text:
    name = Text(f"{'  ' * depth}{_plain(row.name)}", style="red" if row.error else "")
    return name + Text(f" {row.note}" if row.note else "", style="dim")


def _ruler(scale: Timescale, width: int) -> str:
    """Write times where they are, as many as there is room for, and mark what is cut short."""
    line = [" "] * (width + 10)
    places = [0.0, *([0.5] if width >= 40 else []), 1.0]  # noqa: PLR2004 - then three of them have room
    for place in places:
        text = duration(scale.moment(place) - scale.start)
        first = round(place * width) - (len(text) if place == 1 else len(text) // 2 if place else 0)
        line[first : first + len(text)] = text
    for begins, ends in scale.cuts:
        middle = int((scale.at(begins) + scale.at(ends)) / 2 * width)
        if line[middle] == " ":
            line[middle] = _CUT
    return "".join(line[:width])


def _plain(text: str) -> str:
    """Leave out what would steer a terminal: what spans hold is data."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
