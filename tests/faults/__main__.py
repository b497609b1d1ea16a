"""``python -m tests.faults``: orders flow while everything is killed, cut off and filled up; then all is audited.

The same seed draws the same orders and the same faults.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.markup import escape
from rich.text import Text

from benchmarks import figures
from cli.errors import StackError
from cli.terminal import err, out
from tests.faults.report import report as written
from tests.faults.run import Plan, run


def main(
    orders: Annotated[int, typer.Option(min=1, help="How many orders.")] = 2000,
    seed: Annotated[int, typer.Option(help="What orders and faults are drawn from.")] = 1,
    rate: Annotated[float, typer.Option(min=0.1, help="Orders a second.")] = 2.0,
    gap: Annotated[float, typer.Option(min=0.1, help="Seconds from one fault to the next, about.")] = 6.0,
    report: Annotated[
        Path | None, typer.Option(help="A page in which to write the figures, between its marks.")
    ] = None,
) -> None:
    """Run the whole system under faults, and fail if it breaks a promise."""
    page = figures.page(report, "faults") if report else None
    command, load = (
        f"python -m tests.faults --orders {orders} --seed {seed} --rate {rate:g} --gap {gap:g}",
        psutil.getloadavg(),
    )
    # Whoever is told to end stops what he has started first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    with err.status("…") as status:
        plan = Plan(seed, orders, rate, gap)
        outcome = asyncio.run(run(plan, folder, _say, lambda line: status.update(escape(line))))
    found = written(outcome, command, load)
    out.print(found, markup=False, soft_wrap=True)
    if report and page:
        report.write_text(page(found))
    if outcome.violations:
        err.print(Text(f"logs: {folder}", style="red"))
        sys.exit(1)
    shutil.rmtree(folder, ignore_errors=True)


def _say(line: str) -> None:
    err.print(Text(line), soft_wrap=True)


if __name__ == "__main__":
    try:
        typer.run(main)
    except StackError as error:
        sys.exit(str(error))
