from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import figures
from benchmarks.listeners import Seen
from benchmarks.meters import Sample, growth
from cli.errors import StackError


@pytest.mark.parametrize(
    ("seqs", "missed", "doubled"),
    [([], 0, 0), ([1, 2, 3], 0, 0), ([2, 3], 1, 0), ([1, 4], 2, 0), ([1, 2, 2, 3], 0, 1), ([1, 3, 2], 0, 1)],
)
def test_a_listener_knows_what_was_left_out_and_what_came_again(seqs: list[int], missed: int, doubled: int) -> None:
    seen = Seen(seqs)
    assert (seen.missed, seen.doubled) == (missed, doubled)


def test_growth_is_that_of_the_second_half() -> None:
    sizes = [50.0, 90.0, 100.0, 101.0, 102.0, 103.0]
    samples = [Sample(at=30.0 * number, memory={"api": size}, api_files=0) for number, size in enumerate(sizes)]
    assert growth(samples, "api") == pytest.approx(2.0)


def test_a_quantile_is_one_of_the_values() -> None:
    values = [float(number) for number in range(1, 101)]
    assert [figures.quantile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1, 50, 99, 100]


def test_figures_take_the_place_of_the_last_ones_and_leave_the_rest_of_the_page(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("before\n<!-- figures: soak -->\nold\n<!-- end -->\nafter\n<!-- end -->\n")
    assert (
        figures.page(file, "soak")("new\n")
        == "before\n<!-- figures: soak -->\nnew\n<!-- end -->\nafter\n<!-- end -->\n"
    )


def test_a_page_without_a_place_for_figures_is_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="no place for figures"):
        figures.page(tmp_path / "none.md", "soak")
