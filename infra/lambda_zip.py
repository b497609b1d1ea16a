"""``python -m infra.lambda_zip`` makes the archives for AWS Lambda, one for each processor (``make lambda-zip``).

Each holds the API and its locked packages for Linux, whatever the machine that it is made on, for the Python that makes
it. The same sources, lock and Python make the same bytes.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from infra import elf, left_out
from infra.fetched import CACHE, once, reason, run
from infra.kind import ROOT, Failed

LOCK = ROOT / "requirements" / "lambda.txt"
OUTPUT = ROOT / "dist" / "lambda"
PYTHON = "{}.{}".format(*sys.version_info)
ARCHITECTURES = {"x86_64": "x86_64", "arm64": "aarch64"}
"""The processors as AWS Lambda names them, and as Linux does."""
GLIBC = 34 if sys.version_info >= (3, 12) else 26
"""The runtimes up to Python 3.11 run on Amazon Linux 2 with glibc 2.26, later ones on Amazon Linux 2023 with 2.34."""
TASK = "/var/task"
"""Where AWS Lambda unpacks the archive, to be read only."""
LIMIT = 262_144_000
"""How many bytes an archive may have, unpacked (AWS Lambda, "Lambda quotas")."""
PATIENCE = 600.0
"""How long, in seconds, the packages may take to come."""
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
OURS = ("api", "orders")
"""The packages whose sources go along: a stack trace quotes them."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""When each file was made: an archive knows no earlier time."""
UNIX, READABLE = 3, 0o100644
"""The system and the mode of each file: AWS Lambda runs a function as a user of its own."""


@dataclass(frozen=True)
class Archive:
    """An archive for AWS Lambda, and the sizes, in bytes, of what is in it, by its path."""

    path: Path
    sizes: dict[str, int]

    @property
    def unpacked(self) -> int:
        """How many bytes it has on AWS Lambda's disk."""
        return sum(self.sizes.values())

    @property
    def sha256(self) -> str:
        """Give its hash as AWS Lambda tells that of what is deployed (``CodeSha256``)."""
        return base64.b64encode(hashlib.sha256(self.path.read_bytes()).digest()).decode()

    def biggest(self, count: int) -> list[tuple[str, int]]:
        """Give its biggest parts: folders at its top, or single files there."""
        parts: Counter[str] = Counter()
        for path, size in self.sizes.items():
            parts[path.partition("/")[0]] += size
        return parts.most_common(count)


def build(architecture: str, output: Path, wheel: Path) -> Archive:
    """Make the archive for a processor, with our own packages from their wheel.

    Raises:
        subprocess.SubprocessError: the packages can't be had.
        Failed: it would be too large for AWS Lambda.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "task"
        _install(architecture, folder)
        _leave_out(folder)
        # Sources would take as much room again. Of others' modules a stack trace names file, line and function without.
        _compile(folder, folder, "-b")
        for source in folder.rglob("*.py"):
            source.unlink()
        for library in folder.rglob("*.so"):
            library.write_bytes(elf.mapped(library.read_bytes()))
        with zipfile.ZipFile(wheel) as own:
            own.extractall(folder)
        _leave_out(folder)
        for package in OURS:
            _compile(folder, folder / package)
        return pack(folder, output / f"order-lifecycle-api-python{PYTHON}-{architecture}.zip")


def wheel_of_project(folder: Path) -> Path:
    """Make the project's own wheel.

    Raises:
        subprocess.SubprocessError: hatchling can't make it.
    """
    run([sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)], ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def pack(folder: Path, into: Path) -> Archive:
    """Put the files of a folder into an archive: in order, all of one time and one mode.

    Raises:
        Failed: it would be too large for AWS Lambda.
    """
    archive = Archive(into, {path: file.stat().st_size for path, file in _files(folder)})
    if archive.unpacked > LIMIT:
        raise Failed(f"{into.name}: {_mb(archive.unpacked)} unpacked, of which AWS Lambda takes {_mb(LIMIT)} at most")
    into.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(into, "w") as opened:
        for path, file in _files(folder):
            entry = zipfile.ZipInfo(path, EPOCH)
            entry.create_system, entry.external_attr = UNIX, READABLE << 16
            opened.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=9)
    return archive


def locked(architecture: str) -> str:
    """Give the lock as far as the function needs it, for pip: with the markers (PEP 508) as they are on AWS Lambda.

    pip would ask the machine that it runs on.
    """
    there = {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": ARCHITECTURES[architecture],
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "sys_platform": "linux",
    }
    wanted = []
    for entry in re.split(r"^(?=\w)", LOCK.read_text(), flags=re.MULTILINE)[1:]:
        head, _, hashes = entry.partition("\\\n")
        package = Requirement(head)
        if package.name not in left_out.PACKAGES and (package.marker is None or package.marker.evaluate(there)):
            wanted.append(f"{package.name}{package.specifier} \\\n{hashes}")
    return "".join(wanted)


def _wheels(architecture: str) -> list[str]:
    """Give the files of the packages that the lock names by their hashes: fetched once, and kept in ``.cache``."""
    lock = locked(architecture)
    folder = CACHE / "lambda" / hashlib.sha256(f"{PYTHON} {architecture}\n{lock}".encode()).hexdigest()[:12]

    def fetch(temporary: Path) -> None:
        (temporary / "lock.txt").write_text(lock)
        options = ["--no-deps", "--require-hashes", *_for(architecture), "--dest=wheels", "--requirement=lock.txt"]
        run([*PIP, "download", "--quiet", *options], temporary, PATIENCE)

    once(folder, ("wheels",), fetch)
    return [str(wheel) for wheel in sorted((folder / "wheels").iterdir())]


def _for(architecture: str) -> list[str]:
    # What is made for an older glibc runs with a later one (PEP 600).
    glibc = [f"manylinux_2_{minor}" for minor in range(GLIBC, 16, -1)]
    platforms = [f"--platform={each}_{ARCHITECTURES[architecture]}" for each in (*glibc, "manylinux2014")]
    return ["--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}", *platforms]


def _install(architecture: str, folder: Path) -> None:
    options = ["--no-index", "--no-deps", "--no-compile", *_for(architecture), f"--target={folder}"]
    run([*PIP, "install", "--quiet", *options, *_wheels(architecture)], ROOT, PATIENCE)


def _leave_out(folder: Path) -> None:
    for path, file in _files(folder):
        if left_out.why(path):
            file.unlink()


def _compile(root: Path, folder: Path, *options: str) -> None:
    # Otherwise each cold start would compile everything anew, since nothing can be written there. By a process that has
    # loaded nothing else: a constant that is in use elsewhere as well is written otherwise.
    compiler = [sys.executable, "-S", "-s", "-m", "compileall", "-q", "--invalidation-mode=unchecked-hash", *options]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [*compiler, "-s", str(root), "-p", TASK, str(folder)]
    subprocess.run(command, env={**clean, "PYTHONHASHSEED": "0"}, check=True, capture_output=True, text=True)


def _files(folder: Path) -> list[tuple[str, Path]]:
    return sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file())


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the archives, say what is big in them, and return the exit code."""
    parser = argparse.ArgumentParser("python -m infra.lambda_zip", description="Makes the archives for AWS Lambda.")
    parser.add_argument("--arch", choices=ARCHITECTURES, action="append", help="a processor; by default each of them")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FOLDER", help="by default dist/lambda")
    asked = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
            wheel = wheel_of_project(Path(folder))
            archives = list(pool.map(lambda each: build(each, asked.output, wheel), asked.arch or ARCHITECTURES))
    except subprocess.SubprocessError as error:
        print(f"the archive can't be made: {reason(error)}", file=sys.stderr)
        return 1
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    for archive in archives:
        print(f"{archive.path}: {_mb(archive.path.stat().st_size)}, unpacked {_mb(archive.unpacked)}")
        print(f"  CodeSha256 {archive.sha256}")
        for part, size in archive.biggest(12):
            print(f"  {_mb(size):>8}  {part}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
