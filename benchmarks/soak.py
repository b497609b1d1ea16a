"""``python -m benchmarks.soak``: the whole system under load for a while, then what became of it."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import httpx2
import psutil
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from benchmarks import figures
from benchmarks.listeners import Listeners
from benchmarks.meters import Meters, growth
from benchmarks.traffic import Traffic
from cli.errors import StackError
from cli.local import while_up
from cli.stack import Stack
from cli.terminal import err, out
from orders.errors import InvalidSetting

PACE = {
    "REVIEW_TIMEOUT": "4",
    "PAYMENT_LATENCY": "0.2",
    "WAREHOUSE_LATENCY": "0.2",
    "CARRIER_LATENCY": "0.1",
    "CARRIER_TRANSIT": "8",
    "PAYMENT_TIMEOUT": "10",
    "OTEL_SDK_DISABLED": "true",
}
"""Orders take a while, so that there is something to listen to."""
PATIENCE = 60.0
"""How long, in seconds, those who listen have for what they still follow at the end."""
MOST_GROWTH = 1.0
"""MB a minute: at 20 requests a second what keeps 800 bytes of each request for ever grows faster."""
WARM_UP = 5.0
"""Minutes; a run that is shorter says nothing about growth."""


@dataclass
class Soak:
    """One run."""

    minutes: float
    rate: float
    listeners: int
    seed: int
    failures: list[str] = field(default_factory=list)

    async def run(self, stack: Stack) -> figures.Figures:
        """Load a running stack, and tell what was seen.

        Raises:
            StackError: one of its processes has died.
        """
        load = psutil.getloadavg()
        # A connection that the server closes first (after 5 s) would look like a failure of the service.
        limits = httpx2.Limits(keepalive_expiry=3)
        async with httpx2.AsyncClient(base_url=stack.api_url, limits=limits, timeout=30, trust_env=False) as http:
            meters = Meters(stack.folder)
            traffic = Traffic(http, self.rate, self.seed)
            listeners = Listeners(http, traffic.lively, self.seed)
            try:
                cpu = await self._load(meters, traffic, listeners)
            except ExceptionGroup as group:
                raise group.exceptions[0] from group
        # The server sees a moment later that everybody has gone.
        await asyncio.sleep(1)
        self.failures += [*traffic.failures, *listeners.failures]
        if self.minutes >= WARM_UP and (grown := growth(meters.samples, "api")) > MOST_GROWTH:
            self.failures.append(f"the API grew by {grown:.2f} MB a minute")
        return figures.Figures(traffic, listeners, meters, cpu, meters.api_files(), load, self.failures)

    async def _load(self, meters: Meters, traffic: Traffic, listeners: Listeners) -> dict[str, float]:
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(listeners.run(self.listeners))
            watching = tasks.create_task(self._watch(meters, traffic, listeners))
            await traffic.run(self.minutes * 60)
            watching.cancel()
            cpu = meters.cpu()
            listeners.stop()
            with err.status("waiting for the last streams to end"):
                _, unfinished = await asyncio.wait([following], timeout=PATIENCE)
            if unfinished:
                following.cancel()
                self.failures.append(f"streams have not ended after {PATIENCE:.0f} s")
        return cpu

    async def _watch(self, meters: Meters, traffic: Traffic, listeners: Listeners) -> None:
        every = min(5.0, self.minutes * 60 / 20)
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=err, transient=True) as progress:
            task = progress.add_task("", total=self.minutes * 60)
            while True:
                await asyncio.sleep(every)
                meters.sample()
                last = meters.samples[-1]
                problems = len(traffic.failures) + len(listeners.failures)
                line = f"{traffic.sent} requests, {listeners.counts['events']} events, {problems} problems, "
                line += f"API {last.memory['api']:.0f} MB"
                progress.update(task, completed=last.at, description=line)


def main(
    minutes: Annotated[float, typer.Option(min=0.05, help="How long.")] = 10,
    rate: Annotated[float, typer.Option(min=0.1, help="Requests a second.")] = 20,
    listeners: Annotated[int, typer.Option(min=0, help="How many follow orders at once.")] = 200,
    seed: Annotated[int, typer.Option(help="What the mix is drawn from.")] = 1,
    report: Annotated[
        Path | None, typer.Option(help="A page in which to write the figures, between its marks.")
    ] = None,
) -> None:
    """Start the whole system, have clients ask and listen, and fail if it fails them or grows."""
    page: Callable[[str], str] | None = figures.page(report, "soak") if report else None
    soak = Soak(minutes, rate, listeners, seed)
    folder = Path(tempfile.mkdtemp(prefix="orders-soak-"))
    stack = Stack(folder, say=_note, keep=False, any_port=True, extra=PACE)
    command = f"python -m benchmarks.soak --minutes {minutes:g} --rate {rate:g} --listeners {listeners} --seed {seed}"

    async def work(stop: asyncio.Event) -> int:
        running = asyncio.create_task(soak.run(stack))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([running, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not running.done():
            running.cancel()
            await asyncio.wait([running])
            return 1
        found = figures.report(await running, command)
        out.print(found, markup=False, soft_wrap=True)
        if report and page:
            report.write_text(page(found))
        for failure in soak.failures[:20]:
            err.print(Text(failure, style="red"))
        return 1 if soak.failures else 0

    try:
        code = asyncio.run(while_up(stack, work))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(code)


def _note(line: str) -> None:
    err.print(Text(line, style="yellow"))


if __name__ == "__main__":
    try:
        typer.run(main)
    except (StackError, InvalidSetting) as error:
        sys.exit(str(error))
