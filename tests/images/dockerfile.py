"""The Dockerfile, read as far as tests ask."""

from __future__ import annotations

import re

from tests.images.engine import ROOT

TARGETS = ("api", "worker", "migrate", "cli", "lambda", "temporal")
TEXT = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
"""With each instruction on one line."""
COPIED = {
    source.removesuffix("/")
    for line in re.findall(r"^COPY (?!--from)(.*)$", TEXT, re.MULTILINE)
    for source in line.split()[:-1]
}
"""What is taken from the checkout."""
