"""Today's workflows, led through the histories that every release has left."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

import pytest

from orders.telemetry import Telemetry
from tests.replay import fingerprints, histories
from tests.replay.commands import replay
from tests.replay.workflows import WORKFLOWS

HOW = "docs/releases.md, “Changing a workflow”, says how to go on"
MOST, LONGEST = 30, 600
"""How many lines of what has changed are shown, and how much of each."""
ENDS = ("cancelled", "completed", "expired", "failed", "rejected", "terminated")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("release", histories.releases())
async def test_todays_workflows_decide_in_saved_histories_as_they_did(
    release: str, end: str, telemetry: Telemetry
) -> None:
    given = list(histories.of(release, f"{end}*"))
    assert given, f"no history of {release} ends as {end}"
    replayed = await replay(given, WORKFLOWS, telemetry.of_client["interceptors"])
    failed = [f"{each.saved.name}: {each.failure}" for each in replayed if each.failure]
    if failed:
        pytest.fail(f"running orders of {release} can't go on with this code: {HOW}\n{listed(failed)}", pytrace=False)
    kept = fingerprints.kept(release)
    changed = [
        line
        for each in replayed
        for line in differences(kept.get(each.saved.name, []), fingerprints.fingerprint(each), each.saved.name)
    ]
    if changed:
        pytest.fail(f"running orders of {release} would give other commands: {HOW}\n{listed(changed)}", pytrace=False)


def differences(kept: list[str], today: list[str], name: str) -> Iterator[str]:
    return difflib.unified_diff(kept, today, name, "today", n=0, lineterm="")


def listed(lines: list[str]) -> str:
    more = [f"… and {len(lines) - MOST} lines more"] if len(lines) > MOST else []
    return "\n".join([line[:LONGEST] for line in lines[:MOST]] + more)


@pytest.mark.parametrize("release", histories.releases())
def test_every_history_has_an_end_that_is_looked_at_and_its_commands_are_kept(release: str) -> None:
    found = [each.name for each in histories.of(release)]
    assert [name for name in found if not name.startswith(ENDS)] == []
    assert list(fingerprints.kept(release)) == found
