"""``reload.py PACKAGE [ARGUMENT…]`` runs ``python -m PACKAGE``, anew whenever its files change, for `skaffold dev`.

It runs from a copy of ``/app`` in the pod's ``/tmp``: there files can be put into a container whose root is read-only,
and they outlive the container. Everything else is as in the image without it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

SOURCE, COPY = Path("/app"), Path("/tmp/app")  # noqa: S108 - the pod's own
PATIENCE = 10
"""How long, in seconds, the process may take to leave before it is killed; Temporal has what it did not end."""


def run(package: str, arguments: list[str], source: Path = SOURCE, copy: Path = COPY) -> None:
    """Become watchfiles, which runs the package from the copy, and starts it anew."""
    if not copy.exists():
        # By way of another name: a container that is killed meanwhile leaves no half copy behind.
        unfinished = copy.with_name(f"{copy.name}.unfinished")
        shutil.copytree(source, unfinished, dirs_exist_ok=True)
        unfinished.rename(copy)
    os.chdir(copy)
    options = ["--filter", "python", "--target-type", "command", "--sigint-timeout", str(PATIENCE)]
    command = shlex.join(["python", "-m", package, *arguments])
    os.execv(sys.executable, [sys.executable, "-m", "watchfiles", *options, command, str(copy)])  # noqa: S606 - it is to be no shell


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2:])
