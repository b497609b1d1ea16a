"""What `skaffold dev` runs in its images: a process that starts anew when its files change."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from infra import kind

PROGRAM = """
import sys, time
from story.word import WORD
print(WORD, sys.argv[1:], flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    print("left", flush=True)
"""
START = """
import sys
from pathlib import Path
from infra.images import reload
reload.run("story", ["a b"], *map(Path, sys.argv[1:]))
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    package = tmp_path / "app" / "story"
    package.mkdir(parents=True)
    (package / "__main__.py").write_text(PROGRAM)
    (package / "word.py").write_text("WORD = 'once'")
    return package.parent


@pytest.fixture
def lines(source: Path) -> Iterator[IO[str]]:
    if not importlib.util.find_spec("watchfiles"):
        pytest.skip("watchfiles is not installed: make install")
    folder = Path(sys.executable).parent
    process = subprocess.Popen(
        [sys.executable, "-c", START, str(source), str(source.with_name("copy"))],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=kind.ROOT,
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        # Whoever runs the tests in the background has them ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    assert process.stdout
    yield process.stdout
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_a_changed_file_starts_the_process_anew_and_a_broken_one_does_not_end_it(lines: IO[str], source: Path) -> None:
    word = source.with_name("copy") / "story" / "word.py"
    assert lines.readline() == "once ['a b']\n"
    word.write_text("WORD =")
    assert lines.readline() == "left\n"
    word.write_text("WORD = 'twice'")
    assert lines.readline() == "twice ['a b']\n"
    assert (source / "story" / "word.py").read_text() == "WORD = 'once'"
