"""``python -m tests.advisories`` (``make audit``) looks the locked packages up among the known vulnerabilities.

By pip-audit, which asks PyPI, OSV or ecosyste.ms; it installs nothing. Where none of them can be asked, nothing was
checked, which is said, and no failure.
"""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from infra.fetched import Missing, reason
from infra.kind import ROOT
from tests.environments import python_of

LOCKS = ROOT / "requirements"
ACCEPTED = ROOT / "tests" / "advisories.toml"
SOURCES = {"PyPI": ("pypi",), "OSV": ("osv",), "ecosyste.ms": ("esms",)}
"""Who is asked, one after the other until one answers, as ``--vulnerability-service`` takes them."""
CANARY = "jinja2==2.10"
"""It has had known vulnerabilities for years. Who knows of none, such as a mirror of PyPI, is no source."""
PATIENCE = 300.0
"""How long, in seconds, one of them may take with all packages."""

Pins = dict[str, set[str]]
"""Packages as ``name==version``, and the names of the locks that have them."""


@dataclass(frozen=True)
class Vulnerability:
    """A known vulnerability of a package that is locked."""

    package: str
    names: tuple[str, ...]
    mended: tuple[str, ...]
    locks: tuple[str, ...]

    def __str__(self) -> str:
        """Say in one line what to do."""
        how = f"mended in {' or '.join(self.mended)}" if self.mended else "not mended in any version"
        also = f" ({', '.join(self.names[1:])})" if self.names[1:] else ""
        return f"{self.package}: {self.names[0]}{also}: {how}: locked in {', '.join(self.locks)}"


@dataclass(frozen=True)
class Accepted:
    """A vulnerability that is known and let be until a day."""

    id: str
    reason: str
    until: datetime.date


def pins(locks: Path) -> Pins:
    """Give what the locks in a folder name, for whatever machine."""
    found: Pins = {}
    for lock in sorted(locks.glob("*.txt")):
        for line in lock.read_text().splitlines():
            if line[:1].isalnum():
                package = Requirement(line.removesuffix("\\"))
                found.setdefault(f"{package.name}{package.specifier}", set()).add(lock.name)
    return found


def accepted(file: Path = ACCEPTED) -> list[Accepted]:
    """Give what is let be."""
    return [Accepted(**each) for each in tomllib.loads(file.read_text()).get("accepted", [])]


def source(sources: Mapping[str, Sequence[str]]) -> tuple[str, Sequence[str]] | None:
    """Find who can be asked: a name, and how pip-audit is told of it.

    Raises:
        Missing: pip-audit can't be installed.
    """
    for name, options in sources.items():
        try:
            if _vulnerabilities({CANARY: {"none"}}, options):
                return name, options
        except subprocess.SubprocessError:
            pass
    return None


def vulnerabilities(found: Pins, options: Sequence[str]) -> list[Vulnerability]:
    """Ask for all vulnerabilities that are known of these packages.

    Raises:
        Missing: pip-audit can't be installed.
        subprocess.SubprocessError: there was no answer.
    """
    return sorted(_vulnerabilities(found, options), key=str)


def _vulnerabilities(found: Pins, options: Sequence[str]) -> list[Vulnerability]:
    known: list[Vulnerability] = []
    for each in _without_two_versions(found):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "packages.txt").write_text("\n".join(each))
            known += _asked(Path(folder), found, options)
    return known


def _without_two_versions(found: Pins) -> Iterator[list[str]]:
    """Share packages out over files, since pip-audit takes no file with two versions of one."""
    left = sorted(found)
    while left:
        names = {pin.partition("==")[0]: pin for pin in left}
        yield list(names.values())
        left = [pin for pin in left if pin not in names.values()]


def _asked(folder: Path, found: Pins, options: Sequence[str]) -> Iterator[Vulnerability]:
    command = [python_of("audit"), "-m", "pip_audit", "--requirement=packages.txt", "--no-deps", "--disable-pip"]
    how = ["--progress-spinner=off", "--format=json", "--cache-dir=cache", "--output=found.json"]
    service, *more = options
    done = subprocess.run(
        [*command, *how, f"--vulnerability-service={service}", *more],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    answer = folder / "found.json"
    # It writes only if there is something to tell; the code of a failure is that of a vulnerability.
    if done.returncode and not answer.exists():
        raise subprocess.CalledProcessError(done.returncode, command, stderr=done.stderr)
    for package in json.loads(answer.read_text())["dependencies"] if answer.exists() else ():
        yield from _of(package, found)


def _of(package: dict[str, Any], found: Pins) -> Iterator[Vulnerability]:
    if "skip_reason" in package:
        raise subprocess.SubprocessError(f"{package['name']}: {package['skip_reason']}")
    pin = f"{package['name']}=={package['version']}"
    for each in package["vulns"]:
        yield Vulnerability(
            pin, (each["id"], *sorted(each["aliases"])), tuple(each["fix_versions"]), tuple(sorted(found[pin]))
        )


def objections(
    known: Sequence[Vulnerability], let_be: Sequence[Accepted], today: datetime.date
) -> tuple[list[str], list[str]]:
    """Say what is to be mended, and what is let be."""
    to_mend, let = [], []
    for each in known:
        of_it = [one for one in let_be if one.id in each.names]
        if any(one.until >= today for one in of_it):
            let += [f"{each}: let be until {one.until}: {one.reason}" for one in of_it]
        else:
            to_mend += [str(each), *(f"  it was let be until {one.until}: {one.reason}" for one in of_it)]
    ids = {name for each in known for name in each.names}
    gone = [one.id for one in let_be if one.id not in ids]
    return to_mend + [f"advisories.toml: {id_} is of no package that is locked: take it out" for id_ in gone], let


def main() -> int:
    """Ask, say what was found, and return the exit code."""
    try:
        found = source(SOURCES)
        if not found:
            print(
                f"SKIPPED: no known vulnerability was looked for: none of {', '.join(SOURCES)} can be asked from here"
            )
            return 0
        locked = pins(LOCKS)
        known = vulnerabilities(locked, found[1])
    except Missing as error:
        print(error, file=sys.stderr)
        return 2
    except subprocess.SubprocessError as error:
        print(f"known vulnerabilities could not be looked for: {reason(error)}", file=sys.stderr)
        return 2
    to_mend, let = objections(known, accepted(), datetime.datetime.now(datetime.UTC).date())
    print(*let, *to_mend, sep="\n", end="\n" if let or to_mend else "")
    told = "see above" if to_mend else "no known vulnerability"
    print(f"{len(locked)} packages in {len(set().union(*locked.values()))} locks, by {found[0]}: {told}")
    return 1 if to_mend else 0


if __name__ == "__main__":
    sys.exit(main())
