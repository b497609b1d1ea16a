"""What all commands have in common: where they print, what they read, and how they are typed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from cli import show
from cli.client import Event
from cli.errors import StackError

_STEERING = [*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
"""What moves the cursor, is a command to a terminal (ECMA-48), or turns the direction of text around."""
_HARMLESS = {code: "\N{REPLACEMENT CHARACTER}" for code in _STEERING if chr(code) != "\n"}


class Screen(Console):
    """A terminal that nothing steers but rich: not a name that somebody has given, nor an API that is none of ours."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Draw something, and show what would do something else."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(segment.text.translate(_HARMLESS), segment.style)


out = Screen(highlight=False)
err = Screen(stderr=True, highlight=False, soft_wrap=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def read(file: Path) -> bytes:
    """Read a file that a person has named.

    Raises:
        StackError: it can't be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise StackError(f"{file} can't be read: {error.strerror}") from error


def write(file: Path, text: str) -> None:
    """Write a file that a person has named, in UTF-8.

    Raises:
        StackError: it can't be written.
    """
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StackError(f"{file} can't be written: {error.strerror}") from error


def tell(event: Event, as_json: bool) -> None:
    """Print an event as it comes."""
    if as_json:
        print(json.dumps(event), flush=True)
    else:
        out.print(show.event_line(event))
