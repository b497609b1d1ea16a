"""``orders``: run the system here, and place, follow and change orders over HTTP."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from typing import Any, NoReturn

import typer
from rich.text import Text

from cli import asking, local, show, smoke, trace
from cli.client import ApiError
from cli.errors import StackError
from cli.terminal import err
from orders.errors import InvalidSetting

app = typer.Typer(
    help="Orders from received to delivered.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for commands in (local, asking, trace, smoke):
    app.add_typer(commands.app)


def main() -> None:
    """Run the command; errors that a person can mend are one line, without a stack trace."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a letter shows its code instead of failing.
            stream.reconfigure(errors="backslashreplace")
    # As the first process of a container it would not be ended by SIGTERM, which has no default there.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        try:
            app()
        finally:
            # Here and not at the exit, where nobody could catch what goes wrong.
            sys.stdout.flush()
    except ApiError as error:
        _fail(1, error.problem)
    except (StackError, InvalidSetting) as error:
        _fail(2, {"title": "Not possible", "detail": str(error)})
    except BrokenPipeError:
        # Who read this has gone away.
        _let_go_of_stdout()
        sys.exit(1)
    except (OSError, UnicodeError) as error:
        _fail(2, {"title": "Not possible", "detail": str(error)})


def _let_go_of_stdout() -> None:
    # What is left in its buffer has no reader: at the exit it must not fail once more.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(code: int, problem: dict[str, Any]) -> NoReturn:
    try:
        if "--json" in sys.argv:
            print(json.dumps(problem))
        elif code == 1:
            show.problem_lines(err, problem)
        else:
            err.print(Text(problem["detail"], style="red"))
        sys.stdout.flush()
    except OSError:
        # It is standard output itself that fails.
        if "--json" in sys.argv:
            err.print(Text(problem["detail"], style="red"))
        _let_go_of_stdout()
    sys.exit(code)


if __name__ == "__main__":
    main()
