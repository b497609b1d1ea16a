"""Native libraries without what no loader reads: names and notes for debuggers, a quarter of their size."""

from __future__ import annotations

import struct

MACHINES = {"x86_64": 62, "arm64": 183}
"""The processors as AWS Lambda names them, and as ELF does (``e_machine``)."""
# With 64 bits and the little end first, as both have it.
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")


def machine(library: bytes) -> int:
    """Say which processor a library is for (``e_machine``)."""
    found: int = _HEADER.unpack_from(library)[2]
    return found


def mapped(library: bytes) -> bytes:
    """Give what is mapped into memory, byte for byte, under a header that names no sections.

    A loader goes by segments. Sections are for linkers and debuggers, and what only those read stands behind the last
    segment (System V ABI, "ELF Header", "Program Header"). Nothing is moved, as a ``strip`` would, which knows but the
    processors it was made for.
    """
    *begin, segments, _, flags, size, segment_size, count, section_size, _, _ = _HEADER.unpack_from(library)
    found = [_SEGMENT.unpack_from(library, segments + n * segment_size) for n in range(count)]
    end = max(offset + in_file for _, _, offset, _, _, in_file, _, _ in found)
    header = _HEADER.pack(*begin, segments, 0, flags, size, segment_size, count, section_size, 0, 0)
    return header + library[_HEADER.size : end]
