"""What all commands have in common: where they print, what they read, and how they are typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli import show
from cli.client import Event
from cli.errors import StackError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False, soft_wrap=True)

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
