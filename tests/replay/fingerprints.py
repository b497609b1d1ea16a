"""The commands of a release's lives as text, in one file, which shows in a review what a change does to them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from temporalio.activity import _Definition as ActivityDefinition
from temporalio.workflow import _Definition

from tests.replay.commands import Replayed, described, shapes
from tests.replay.histories import FOLDER
from workers.queues import Work

WORKERS = FOLDER / "workers.txt"
LEGEND = "what is told"


def path_of(release: str) -> Path:
    """Where it is kept."""
    return FOLDER / release / "fingerprints.txt"


def fingerprint(replayed: Replayed) -> list[str]:
    """Give the commands of one workflow in order, and a digest of the shapes of all that it tells."""
    told = sorted({shape for command in replayed.commands for shape in shapes(command)})
    digest = hashlib.sha256("\n".join(told).encode()).hexdigest()[:8]
    return [*(described(command) for command in replayed.commands), f"shapes {digest}"]


def written(replayed: Iterable[Replayed]) -> str:
    """Write them all, and at the end the shapes themselves."""
    lines: list[str] = []
    told: set[str] = set()
    for each in replayed:
        lines += [f"== {each.saved.name}", *fingerprint(each), ""]
        told.update(shape for command in each.commands for shape in shapes(command))
    return "\n".join([*lines, f"== {LEGEND}", *sorted(told), ""])


def kept(release: str) -> dict[str, list[str]]:
    """Read them, by the names of the histories."""
    sections = path_of(release).read_text().removeprefix("== ").split("\n\n== ")
    found = {name: lines for name, *lines in (section.splitlines() for section in sections)}
    del found[LEGEND]
    return found


def of_workers(work_of: Mapping[str, Work]) -> str:
    """Write what the workers of each queue have, and what their workflows take."""
    return "".join(f"{line}\n" for queue, work in work_of.items() for line in _of_worker(queue, work))


def _of_worker(queue: str, work: Work) -> Iterator[str]:
    for activity in work.activities:
        yield f"{queue}: activity {name_of(activity)}"
    for each in work.workflows:
        definition = _Definition.must_from_class(each)
        yield f"{queue}: workflow {definition.name}, {work.versioning.name}{_types(definition.arg_types)}"
        for kind in ("update", "signal", "query"):
            handlers = getattr(definition, "queries" if kind == "query" else f"{kind}s")
            for name, handler in sorted(handlers.items()):
                yield f"{queue}: {kind} {definition.name}.{name}{_types(handler.arg_types)}"


def name_of(activity: Callable[..., Any]) -> str:
    """Name an activity as Temporal does."""
    definition = ActivityDefinition.must_from_callable(activity)
    return str(definition.name)


def _types(types: list[type] | None) -> str:
    return f"({', '.join(each.__name__ for each in types or [])})"
