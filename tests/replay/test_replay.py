"""Today's workflows, led through the histories that every release has left."""

from __future__ import annotations

import difflib

import pytest

from orders.telemetry import Telemetry
from tests.replay import fingerprints, histories
from tests.replay.commands import replay
from tests.replay.workflows import WORKFLOWS

HOW = "docs/architecture.md, “Changing a workflow”, says how to go on"
ENDS = ("cancelled", "completed", "expired", "failed", "rejected", "terminated")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("release", histories.releases())
async def test_todays_workflows_decide_in_a_release_s_histories_as_they_did(
    release: str, end: str, telemetry: Telemetry
) -> None:
    given = list(histories.of(release, f"{end}*"))
    assert given, f"no history of {release} ends as {end}"
    replayed = await replay(given, WORKFLOWS, telemetry.of_client["interceptors"])
    failures = [f"{each.saved.name}: {each.failure}" for each in replayed if each.failure]
    assert not failures, f"running orders of {release} can't go on with this code: {HOW}\n" + "\n".join(failures)
    kept = fingerprints.kept(release)
    changed = [
        line
        for each in replayed
        for line in difflib.unified_diff(
            kept.get(each.saved.name, []), fingerprints.fingerprint(each), each.saved.name, "today", n=0, lineterm=""
        )
    ]
    assert not changed, f"running orders of {release} would give other commands: {HOW}\n" + "\n".join(changed)


@pytest.mark.parametrize("release", histories.releases())
def test_every_history_has_an_end_that_is_looked_at_and_its_commands_are_kept(release: str) -> None:
    found = [each.name for each in histories.of(release)]
    assert [name for name in found if not name.startswith(ENDS)] == []
    assert list(fingerprints.kept(release)) == found
