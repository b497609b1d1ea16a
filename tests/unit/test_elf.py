"""Native libraries without what no loader reads."""

from __future__ import annotations

import ctypes
import platform
import struct
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from infra.elf import MACHINES, machine, mapped

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what is installed here is not for Linux")


@pytest.fixture(scope="module")
def library() -> bytes:
    """One with names and notes for debuggers."""
    found = find_spec("sqlalchemy.cyextension.collections")
    assert found
    return Path(str(found.origin)).read_bytes()


def test_what_is_mapped_stays_as_it_is_under_a_header_that_names_no_sections(library: bytes) -> None:
    rest = mapped(library)
    changed = {place for place, (one, other) in enumerate(zip(rest, library, strict=False)) if one != other}
    # e_shoff, e_shnum and e_shstrndx.
    assert changed <= {*range(40, 48), *range(60, 64)}
    assert struct.unpack_from("<Q", rest, 40) == (0,)
    assert len(rest) < 0.5 * len(library)


def test_a_library_without_the_rest_is_loaded(library: bytes, tmp_path: Path) -> None:
    copy = tmp_path / "collections.so"
    copy.write_bytes(mapped(library))
    assert hasattr(ctypes.CDLL(str(copy)), "PyInit_collections")


def test_a_library_tells_its_processor(library: bytes) -> None:
    assert machine(library) == {"x86_64": MACHINES["x86_64"], "aarch64": MACHINES["arm64"]}[platform.machine()]
