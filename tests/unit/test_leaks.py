"""Secrets that get into the repository are found, wherever in it they are."""

from __future__ import annotations

import itertools
import secrets
import string
import subprocess
from pathlib import Path

import pytest
import yaml

from infra.fetched import Missing
from tests.leaks import CONFIG, search


def token() -> str:
    """Make what looks like a token of GitHub's."""
    return "ghp_" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(36))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "README.md", "nothing")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    subprocess.run(["git", "-C", folder, *who, *arguments], check=True, capture_output=True)


def commit(folder: Path, path: str, text: str) -> None:
    (folder / path).write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", f"what is in {path}")


def looked(repository: Path) -> list[str]:
    try:
        return search(repository).found
    except Missing as error:
        pytest.skip(str(error))


def test_secrets_are_found_in_what_was_taken_out_again_and_in_what_git_would_take(repository: Path) -> None:
    planted = [token(), token(), token()]
    commit(repository, "taken_out.py", f"github = '{planted[0]}'\n")
    commit(repository, "taken_out.py", "")
    (repository / "new.py").write_text(f"github = '{planted[1]}'\n")
    (repository / "README.md").write_text(f"github = '{planted[2]}'\n")
    (repository / ".git" / "info" / "exclude").write_text(".env\n")
    (repository / ".env").write_text(f"TOKEN={token()}\n")
    found = looked(repository)
    assert [line.partition(":1: ")[0] for line in found] == ["README.md", "new.py", "taken_out.py"]
    assert ["; commit " in line for line in found] == [False, False, True]
    # What is printed stays in the logs of whoever runs it.
    assert not any(each in line for each in planted for line in found)


@pytest.mark.parametrize(("host", "is_secret"), [("db.orders.net", True), ("127.0.0.1", False), ("localhost", False)])
def test_a_password_is_a_secret_unless_its_server_is_on_ones_own_machine(
    host: str, is_secret: bool, repository: Path
) -> None:
    (repository / "example.py").write_text(f"URL = 'postgresql://orders:{token()[4:20]}@{host}:5432/orders'\n")
    assert (len(looked(repository)) == 1) is is_secret


def test_what_is_let_be_has_its_reason_above_it() -> None:
    lines = CONFIG.read_text().splitlines()
    let_be = [above.strip() for above, line in itertools.pairwise(lines) if line.startswith("    - ")]
    assert len(let_be) == len(yaml.safe_load(CONFIG.read_text())["filters"]["skip_regex"]) > 0
    assert all(above.startswith("# ") for above in let_be)
