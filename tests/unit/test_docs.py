"""What the documentation says is there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from api.bodies import OrderBody
from api.problems import KINDS, URN
from cli.lifecycle_pictures import PAGE, page, picture
from orders.model import ORDER_MOVES
from tests.parts import PARTS

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_local_link_and_every_named_file_leads_somewhere(page: Path) -> None:
    text = page.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    files = re.findall(r"`((?:orders|api|workers|cli|infra|tests|docs|migrations|examples)/[\w./-]*)`", text)
    assert [link for link in links if not (page.parent / link).exists()] == []
    assert [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_section_leads_to_one(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text())
    assert [(file, name) for file, name in links if name not in sections(page.parent / file if file else page)] == []


def sections(page: Path) -> set[str]:
    """The names by which GitHub lets one link to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_no_page_has_400_lines_or_more() -> None:
    lengths = {str(page.relative_to(ROOT)): len(page.read_text().splitlines()) for page in PAGES}
    assert [f"{name}: {length} lines" for name, length in lengths.items() if length >= 400] == []


def test_the_pictures_of_the_lifecycle_are_those_of_the_tables() -> None:
    text = (ROOT / PAGE).read_text()
    assert text == page(text), "run `make docs`"
    assert text.count("stateDiagram-v2") == 3


def test_a_picture_shows_every_status_and_every_move() -> None:
    drawn = picture(ORDER_MOVES)
    moves = {(str(status), str(other)) for status, following in ORDER_MOVES.items() for other in following}
    assert moves <= set(re.findall(r"(\w+) --> (\w+)", drawn))
    assert "payment_failed --> payment_failed" in drawn
    assert "shipped --> cancelled" not in drawn


def test_every_make_target_that_is_named_is_there() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"(?:^|`)make ([a-z0-9-]+)", page.read_text(), re.M)}
    assert {"demo", "up", "test"} <= named <= targets


def test_every_part_that_make_test_takes_is_there_and_is_named() -> None:
    readme = (ROOT / "README.md").read_text()
    for name, paths in PARTS.items():
        assert f"`{name}`" in readme
        assert all((ROOT / path).exists() for path in paths.split())


def test_an_unknown_part_is_refused_with_those_that_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.parts", "nonsense"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "choose from unit, workflows" in done.stderr


def test_every_problem_that_the_api_knows_is_documented() -> None:
    rows = re.findall(rf"^\| `{URN}([a-z-]+)` \| (\d+) \|", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
    assert rows == [(name, str(kind.status)) for name, kind in KINDS.items()]


def test_the_example_order_is_one_that_the_api_takes() -> None:
    order = OrderBody.model_validate(json.loads((ROOT / "examples" / "order.json").read_text()))
    assert str(order.details().total) == "124.99"


def test_no_lock_file_names_an_address() -> None:
    locks = sorted((ROOT / "requirements").glob("*.txt"))
    assert locks
    for lock in locks:
        text = lock.read_text()
        assert "://" not in text
        assert "--hash=sha256:" in text
