"""Which schema the code needs."""

from __future__ import annotations

from pathlib import Path

import migrations
from orders.ledger.schema import NEEDED


def test_the_schema_that_the_code_needs_is_that_of_the_newest_migration() -> None:
    versions = [file.name.partition("_")[0] for file in Path(migrations.__path__[0], "versions").glob("0*.py")]
    assert max(versions) == NEEDED
    # They are compared as text.
    assert {len(version) for version in versions} == {len(NEEDED)}
