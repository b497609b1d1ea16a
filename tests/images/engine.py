"""What builds and runs the images: docker, podman, or scripts for a machine that has neither registry nor daemon.

``CONTAINER_ENGINE`` names docker or podman. ``CONTAINER_SCRIPTS`` names a folder with ``env.sh`` (the settings of
podman and buildah), ``base-image.sh`` (makes a stand-in for the base image) and ``build.sh``; they need root and some of
Debian's packages, which ``python -m tests.images.engine`` installs.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
BASE = "docker.io/library/python:3.13-slim"
PACKAGES = {"podman": "podman", "buildah": "buildah", "runc": "runc", "debootstrap": "debootstrap"}
"""The programs that the scripts need, and Debian's packages of them."""
PATIENCE = 300.0
"""How long, in seconds, one step of a build may take."""


class Missing(Exception):
    """There is nothing that builds images; the text is one line that says what to do."""


@dataclass
class Engine:
    """Builds the targets of the Dockerfile, and runs them confined as a cluster would."""

    program: str
    build_command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    prefix: str = field(default_factory=lambda: f"orders-{secrets.token_hex(4)}")

    def build(self, target: str, *options: str, context: Path = ROOT) -> str:
        """Build a target, and return the image's name."""
        image = f"localhost/order-lifecycle-{target}:test"
        command = [each.format(image=image, context=context) for each in self.build_command]
        done = self._run([*command, *options])
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return image

    def ask(self, *arguments: str) -> str:
        """Run a command of the engine that has to succeed, and return what it says."""
        done = self._run([self.program, *arguments])
        assert done.returncode == 0, f"{self.program} {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def config(self, image: str) -> dict[str, Any]:
        """Give the image's configuration (OCI image specification, "config")."""
        found: dict[str, Any] = json.loads(
            self.ask("inspect", "--type", "image", "--format", "{{json .Config}}", image)
        )
        return found

    def run(
        self, image: str, *arguments: str, stdin: str | None = None, options: Sequence[str] = (), **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run an image, confined, to its end."""
        command = [self.program, "run", "--rm", "--interactive", *self._confined(options, settings), image, *arguments]
        return self._run(command, stdin)

    def start(self, name: str, image: str, *arguments: str, options: Sequence[str] = (), **settings: str) -> Container:
        """Run an image, confined, in the background."""
        full = f"{self.prefix}-{name}"
        self.ask("run", "--detach", "--name", full, *self._confined(options, settings), image, *arguments)
        return Container(self, full)

    def export(self, image: str, into: Path) -> Path:
        """Write the image's files into a tar archive, whatever it has to run."""
        container = self.ask("create", "--network", "host", image, "nothing")
        self.ask("export", "--output", str(into), container)
        self.ask("rm", "--volumes", container)
        return into

    def _confined(self, options: Sequence[str], settings: Mapping[str, str]) -> list[str]:
        # Podman would lay writable folders over /tmp, and enter the user into /etc/passwd: Kubernetes does neither.
        strictly = ["--read-only-tmpfs=false", "--passwd=false"] if self.program == "podman" else []
        return [
            *("--pull=never", "--network", "host", "--read-only", *strictly),
            *("--cap-drop", "all", "--security-opt", "no-new-privileges"),
            *(part for name, value in settings.items() for part in ("--env", f"{name}={value}")),
            *options,
        ]

    def _run(self, command: Sequence[str], stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env={**os.environ, **self.environment},
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )


@dataclass(frozen=True)
class Container:
    """A running container."""

    engine: Engine
    name: str

    @property
    def log(self) -> str:
        """All that it has said."""
        done = self.engine._run([self.engine.program, "logs", self.name])
        return done.stdout + done.stderr

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.engine.ask("inspect", "--format", "{{.State.Running}}", self.name) == "true"

    def terminate(self) -> int:
        """Send it SIGTERM, and return the code with which it leaves."""
        self.engine.ask("kill", "--signal", "TERM", self.name)
        return int(self.engine.ask("wait", self.name))

    def remove(self) -> None:
        """End it, and forget it."""
        self.engine.ask("rm", "--force", "--volumes", self.name)


def find(lab: Path) -> Engine:
    """Find what builds images; what the scripts make goes into the folder ``lab``.

    Raises:
        Missing: nothing does.
    """
    if sys.platform != "linux":
        raise Missing("the containers of the tests share the machine's network, which they can on Linux only")
    scripts, program = os.environ.get("CONTAINER_SCRIPTS"), os.environ.get("CONTAINER_ENGINE")
    if scripts:
        return _by_scripts(Path(scripts).resolve(), lab)
    if not program:
        raise Missing("neither CONTAINER_ENGINE nor CONTAINER_SCRIPTS is set: `make image-test` builds and runs images")
    if not shutil.which(program):
        raise Missing(f"CONTAINER_ENGINE: {program} is not installed: install it, or name docker or podman")
    told = subprocess.run([program, "info"], capture_output=True, text=True, timeout=30, check=False)
    if told.returncode:
        reason = (told.stderr or told.stdout).strip().splitlines()[-1]
        raise Missing(f"CONTAINER_ENGINE: {program} can't be used: {reason}")
    return Engine(program, (program, "build", "--tag", "{image}", "{context}"))


def _by_scripts(folder: Path, lab: Path) -> Engine:
    for name in ("env.sh", "base-image.sh", "build.sh"):
        if not (folder / name).exists():
            raise Missing(f"CONTAINER_SCRIPTS: there is no {folder / name}")
    if lacking := _lacking():
        how = "as root on Debian, python -m tests.images.engine installs them"
        raise Missing(f"CONTAINER_SCRIPTS needs {', '.join(lacking)}: {how}")
    if os.geteuid() != 0:
        raise Missing("CONTAINER_SCRIPTS needs root")
    # The folders that builds share for pip are kept where temporary files are.
    own = {"CONTAINER_LAB": str(lab), "TMPDIR": str(lab)}
    told = subprocess.run(
        ["bash", "-c", f". '{folder / 'env.sh'}' && env -0"],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    environment = dict(line.split("=", 1) for line in told.stdout.split("\0") if line)
    engine = Engine("podman", (str(folder / "build.sh"), "{context}", "{image}"), environment)
    if engine._run(["podman", "image", "exists", BASE]).returncode:
        made = engine._run([str(folder / "base-image.sh"), BASE, "trixie"])
        assert made.returncode == 0, made.stdout + made.stderr
    return engine


def _lacking() -> list[str]:
    return [package for program, package in PACKAGES.items() if not shutil.which(program)]


def main() -> int:
    """Install what the scripts lack, or say why there is no engine."""
    try:
        if not os.environ.get("CONTAINER_SCRIPTS"):
            find(Path())
        elif (lacking := _lacking()) and os.geteuid() == 0:
            for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *lacking]):
                subprocess.run(["apt-get", *command], check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE)
    except (Missing, OSError, subprocess.SubprocessError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
