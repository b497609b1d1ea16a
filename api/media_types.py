"""Which form of an answer a client wants."""

from __future__ import annotations

import re

QUALITY = re.compile(r"q=(0(\.\d{0,3})?|1(\.0{0,3})?)", re.ASCII | re.IGNORECASE)
"""How much a media type is wanted (RFC 9110, section 12.4.2)."""


def wants(accept: str, media_type: str, rather_than: str) -> bool:
    """Say whether the header ``Accept`` prefers one media type to another, which is the one to give in doubt."""
    ranges = dict(map(_range, accept.split(",")))
    return _quality(ranges, media_type) > _quality(ranges, rather_than)


def accepts(accept: str, media_type: str) -> bool:
    """Say whether the header ``Accept`` lets a media type pass; one that says nothing lets all."""
    return not accept.strip() or _quality(dict(map(_range, accept.split(","))), media_type) > 0


def _range(written: str) -> tuple[str, float]:
    name, *parameters = (part.strip() for part in written.split(";"))
    found = [float(match[1]) for match in map(QUALITY.fullmatch, parameters) if match]
    return name.lower(), found[0] if found else 1.0


def _quality(ranges: dict[str, float], media_type: str) -> float:
    # The most specific range counts (RFC 9110, section 12.5.1).
    kind = media_type.partition("/")[0]
    return next((ranges[name] for name in (media_type, f"{kind}/*", "*/*") if name in ranges), 0.0)
