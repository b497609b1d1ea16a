"""``python -m benchmarks.tracing``: what telling of itself costs the system, in orders a second."""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple

import httpx2
import psutil
import typer
from rich.text import Text
from sqlalchemy import text

from benchmarks import figures
from benchmarks.meters import Meters
from benchmarks.traffic import EXAMPLE
from cli.embedded import free_port
from cli.errors import StackError
from cli.local import while_up
from cli.stack import Stack
from cli.terminal import err, out
from orders.errors import InvalidSetting
from orders.ledger.engine import engine_of
from orders.settings import DatabaseSettings, load

MODES: dict[str, dict[str, str]] = {
    "off": {"OTEL_SDK_DISABLED": "true"},
    "traces": {"OTEL_METRICS_EXPORTER": "none"},
    "traces and metrics": {"OTEL_METRICS_EXPORTER": "otlp,prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": "0"},
}
WARM_UP = 40
AT_ONCE = 20
MOST = 10.0
"""Per cent of the orders a second that traces may cost."""


class Run(NamedTuple):
    """One run: orders a second, and the CPU time in ms that an order took of each process."""

    rate: float
    cpu: dict[str, float]


async def measure(mode: str, collector: str, orders: int) -> Run:
    """Have a fresh system bring so many orders to their end.

    Raises:
        StackError: it can't start, or they don't end.
    """
    folder = Path(tempfile.mkdtemp(prefix="orders-tracing-"))
    extra = {"REVIEW_MODE": "off", "LOG_LEVEL": "WARNING", "OTEL_EXPORTER_OTLP_ENDPOINT": collector, **MODES[mode]}
    stack = Stack(folder, say=_note, keep=False, any_port=True, extra=extra)
    found: list[Run] = []

    async def work(_: asyncio.Event) -> int:
        await _bring_to_their_end(stack, WARM_UP, WARM_UP)
        meters, begun = Meters(stack.folder), time.monotonic()
        await _bring_to_their_end(stack, orders, WARM_UP + orders)
        rate = orders / (time.monotonic() - begun)
        found.append(Run(rate, {name: 1000 * seconds / orders for name, seconds in meters.cpu().items()}))
        return 0

    try:
        await while_up(stack, work)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if not found:
        raise StackError("stopped before the end")
    return found[0]


async def _bring_to_their_end(stack: Stack, orders: int, all_in_all: int) -> None:
    body, slots = json.loads(EXAMPLE.read_text()), asyncio.Semaphore(AT_ONCE)
    async with httpx2.AsyncClient(base_url=stack.api_url, timeout=30, trust_env=False) as http:

        async def place() -> None:
            async with slots:
                (await http.post("/orders", json=body)).raise_for_status()

        await asyncio.gather(*(place() for _ in range(orders)))
    engine = engine_of(load(DatabaseSettings, DATABASE_URL=stack.environment["DATABASE_URL"]))
    query = text("select count(*) from orders where status = 'completed'")
    try:
        async with asyncio.timeout(120):
            with engine.connect() as connection:
                while connection.execute(query).scalar_one() < all_in_all:  # noqa: ASYNC110 - others do it
                    await asyncio.sleep(0.05)
    except TimeoutError:
        raise StackError(f"{orders} orders have not come to their end in 120 s, see {stack.folder}") from None
    finally:
        engine.dispose()


@contextmanager
def collecting() -> Iterator[str]:
    """Run a collector that takes everything and keeps nothing, in a process of its own; give its address."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.sink", str(port)])
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def report(runs: dict[str, list[Run]], command: str, load: tuple[float, float, float]) -> str:
    """Write the figures down: medians, and in brackets the least and the most."""
    base = statistics.median(run.rate for run in runs["off"])
    lines = [
        *figures.machine(command, load),
        "| | orders/s | beside off | CPU ms an order | of it the API | workers | Temporal | PostgreSQL |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for mode, done in runs.items():
        rates = [run.rate for run in done]
        rate = f"{statistics.median(rates):.1f} ({min(rates):.1f}–{max(rates):.1f})"
        beside = f"{100 * (statistics.median(rates) / base - 1):+.1f} %"
        parts = [["api"], [name for name in done[0].cpu if name.startswith("worker-")], ["temporal"], ["postgres"]]
        parts = [[name for names in parts for name in names], *parts]
        cpu = [statistics.median(sum(run.cpu[name] for name in names) for run in done) for names in parts]
        lines.append(f"| {mode} | {rate} | {beside} | " + " | ".join(f"{each:.1f}" for each in cpu) + " |")
    return "\n".join([*lines, ""])


def main(
    orders: Annotated[int, typer.Option(min=1, help="Orders in each run.")] = 150,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each kind, in turns.")] = 5,
    page: Annotated[Path | None, typer.Option("--report", help="A page in which to write the figures.")] = None,
) -> None:
    """Compare the system that tells nothing with one that tells everything, and fail if traces cost too much."""
    write: Callable[[str], str] | None = figures.page(page, "tracing") if page else None
    runs: dict[str, list[Run]] = defaultdict(list)
    load = psutil.getloadavg()
    with collecting() as collector:
        for turn in range(repeats):
            # There and back again, so that what changes with time is shared out.
            for mode in list(MODES)[:: 1 if turn % 2 == 0 else -1]:
                runs[mode].append(asyncio.run(measure(mode, collector, orders)))
                err.print(f"{turn + 1}/{repeats} {mode}: {runs[mode][-1].rate:.1f} orders/s")
    in_order = {mode: runs[mode] for mode in MODES}
    found = report(in_order, f"python -m benchmarks.tracing --orders {orders} --repeats {repeats}", load)
    out.print(found, markup=False, soft_wrap=True)
    if page and write:
        page.write_text(write(found))
    off, on = (statistics.median(run.rate for run in runs[mode]) for mode in ("off", "traces"))
    if (cost := 100 * (1 - on / off)) > MOST:
        err.print(Text(f"traces cost {cost:.1f} % of the orders a second, {MOST:.0f} at most are allowed", style="red"))
        sys.exit(1)


def _note(line: str) -> None:
    err.print(Text(line, style="yellow"))


if __name__ == "__main__":
    try:
        typer.run(main)
    except (StackError, InvalidSetting) as error:
        sys.exit(str(error))
