"""``python -m benchmarks.cold_start``: how long the function of AWS Lambda takes to start, beside what it stands on."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

import psutil
import typer
from rich.text import Text

from benchmarks import figures
from cli.errors import StackError
from cli.terminal import err, out

LIBRARIES = (
    "fastapi",
    "sqlalchemy",
    "pg8000",
    "temporalio.client",
    "pydantic_settings",
    "opentelemetry.sdk.trace",
    "opentelemetry.sdk.metrics",
)
BARE, HANDLER = f"import {', '.join(LIBRARIES)}", "import api.lambda_handler"
GATEWAY = {"AUTH_MODE": "gateway", "DATABASE_URL": "postgresql://orders:none@127.0.0.1:9/orders"}
"""The gateway checks tokens; there need be no PostgreSQL and no Temporal."""
JWT = {
    **GATEWAY,
    "AUTH_MODE": "jwt",
    "AUTH_ISSUER": "https://issuer.example.com/",
    "AUTH_AUDIENCE": "orders",
    "AUTH_JWKS_URL": "https://issuer.example.com/keys",
}
TRACES = {**JWT, "OTEL_METRICS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
KINDS: dict[str, tuple[str, Mapping[str, str]]] = {
    "the libraries": (BARE, {}),
    "the handler": (HANDLER, GATEWAY),
    "the handler, checking tokens itself": (HANDLER, JWT),
    "the same, sending traces": (HANDLER, TRACES),
    "the libraries, without the garbage collector": (f"import gc; gc.disable(); {BARE}", {}),
}
MOST = 1.1
"""How many times the libraries' CPU time the handler may take."""
TIMED = """
import os, time
begun = time.perf_counter(), time.process_time()
{code}
print(time.perf_counter() - begun[0], time.process_time() - begun[1], flush=True)
os._exit(0)  # what a process does at its end is no part of its start
"""
LINE = re.compile(r"import time: +(\d+) \| +(\d+) \| +([\w.]+)")
KEPT = 1000
"""Of how many microseconds, with all that it brings along, a module has to be to be written down."""


class Start(NamedTuple):
    """How long it took, in ms: by the clock, and of a CPU."""

    wall: float
    cpu: float


def start(code: str, settings: Mapping[str, str]) -> Start:
    """Run some code in a fresh process with these settings, and no others.

    Raises:
        StackError: it fails.
    """
    done = _python(["-c", TIMED.format(code=code)], settings)
    wall, cpu = done.stdout.split()[-2:]
    return Start(1000 * float(wall), 1000 * float(cpu))


def imports() -> list[str]:
    """Return what ``-X importtime`` tells of the handler's import, line by line.

    Raises:
        StackError: it can't be imported.
    """
    told = _python(["-X", "importtime", "-c", HANDLER], GATEWAY).stderr
    return [line for line in told.splitlines() if LINE.match(line)]


def _python(arguments: list[str], settings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    done = subprocess.run(
        [sys.executable, *arguments], env={**environment, **settings}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StackError(f"it does not start: {done.stderr.strip().splitlines()[-1]}")
    return done


def report(runs: Mapping[str, list[Start]], lines: list[str], command: str, load: tuple[float, float, float]) -> str:
    """Write the figures down: medians, and in brackets the least and the most."""
    base = statistics.median(run.cpu for run in runs["the libraries"])
    found = [
        *figures.machine(command, load),
        "| | CPU ms | beside the libraries | by the clock, ms |",
        "|---|--:|--:|--:|",
    ]
    for kind, done in runs.items():
        cpu, wall = [run.cpu for run in done], [run.wall for run in done]
        beside = f"{statistics.median(cpu) / base:.2f}"
        found.append(f"| {kind} | {_spread(cpu)} | {beside} | {_spread(wall)} |")
    found += ["", "| packages of the handler | ms | modules |", "|---|--:|--:|"]
    of_package: dict[str, list[int]] = defaultdict(list)
    for own, _, module in map(_parts, lines):
        of_package[module.partition(".")[0]].append(own)
    ordered = sorted(of_package.items(), key=lambda item: -sum(item[1]))
    rest = ("the rest", [own for _, each in ordered[12:] for own in each])
    found += [f"| {name} | {sum(each) / 1000:.0f} | {len(each)} |" for name, each in [*ordered[:12], rest]]
    return "\n".join([*found, ""])


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.0f} ({min(values):.0f}–{max(values):.0f})"


def _parts(line: str) -> tuple[int, int, str]:
    found = LINE.match(line)
    assert found
    return int(found[1]), int(found[2]), found[3]


def main(
    repeats: Annotated[int, typer.Option(min=1, help="Starts of each kind, in turns.")] = 15,
    page: Annotated[Path | None, typer.Option("--report", help="A page in which to write the figures.")] = None,
    kept: Annotated[Path | None, typer.Option("--imports", help="A file for what -X importtime tells.")] = None,
) -> None:
    """Compare the handler's start with that of its libraries, and fail if it takes too long beside it."""
    write: Callable[[str], str] | None = figures.page(page, "cold start") if page else None
    runs: dict[str, list[Start]] = {kind: [] for kind in KINDS}
    load = psutil.getloadavg()
    # Once before, so that everything is compiled, as it is in an archive or an image.
    lines = [imports() for _ in range(2)][-1]
    for _ in range(repeats):
        for kind, (code, settings) in KINDS.items():
            runs[kind].append(start(code, settings))
    found = report(runs, lines, f"python -m benchmarks.cold_start --repeats {repeats}", load)
    out.print(found, markup=False, soft_wrap=True)
    if page and write:
        page.write_text(write(found))
    if kept:
        kept.write_text("".join(f"{line}\n" for line in lines if _parts(line)[1] >= KEPT))
    bare, ours = (statistics.median(run.cpu for run in runs[kind]) for kind in ("the libraries", "the handler"))
    if ours > MOST * bare:
        err.print(Text(f"the handler takes {ours / bare:.2f} times as long as its libraries, of {MOST} at most", "red"))
        sys.exit(1)


if __name__ == "__main__":
    try:
        typer.run(main)
    except StackError as error:
        sys.exit(str(error))
