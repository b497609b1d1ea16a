"""Histories of real runs, kept by the release whose code made them: ``histories/RELEASE/LIFE.json.gz``."""

from __future__ import annotations

import gzip
import json
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHistory

ROOT = Path(__file__).parent.parent.parent
FOLDER = Path(__file__).parent / "histories"
ENDING = ".json.gz"
NOBODY = "tests"
OF_THE_MACHINE = {"identity": NOBODY, "stackTrace": ""}
"""What a history says of the machine that it ran on, and what is kept in its place."""


@dataclass(frozen=True)
class Saved:
    """One workflow's history, as JSON; ``life`` names the run that it comes from."""

    life: str
    workflow_id: str
    events: dict[str, Any]

    @property
    def name(self) -> str:
        """Which workflow of the life it is: ``LIFE/order``, ``LIFE/shipment:1``."""
        kind, _, rest = self.workflow_id.partition(":")
        return ":".join([f"{self.life}/{kind}", *rest.split(":")[1:]])

    @property
    def history(self) -> WorkflowHistory:
        """The same for a replay."""
        return WorkflowHistory.from_json(self.workflow_id, self.events)


def this_release() -> str:
    """The release that the code is going to be, by its version."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def releases() -> list[str]:
    """Name the releases of which there are histories, the newest last."""
    names = [folder.name for folder in FOLDER.iterdir() if folder.is_dir()]
    return sorted(names, key=lambda name: [int(number) for number in name.split(".")])


def of(release: str, lives: str = "*") -> Iterator[Saved]:
    """Read the histories of a release, or of the lives whose names match a pattern."""
    for path in sorted((FOLDER / release).glob(f"{lives}{ENDING}")):
        for workflow_id, events in json.loads(gzip.decompress(path.read_bytes())).items():
            yield Saved(path.name.removesuffix(ENDING), workflow_id, events)


def write(release: str, life: str, histories: Iterable[WorkflowHistory]) -> None:
    """Keep the histories of a life."""
    kept = {history.workflow_id: _of_any_machine(history.to_json_dict()) for history in histories}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    folder = FOLDER / release
    folder.mkdir(parents=True, exist_ok=True)
    # Without the time at which it was written.
    (folder / f"{life}{ENDING}").write_bytes(gzip.compress(text.encode(), mtime=0))


def _of_any_machine(value: Any) -> Any:
    if isinstance(value, list):
        return [_of_any_machine(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {key: OF_THE_MACHINE.get(key, _of_any_machine(each)) for key, each in value.items()}
