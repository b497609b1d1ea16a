"""``make docs``: writes the settings, as the classes have them, into ``docs/settings.md`` and ``.env.example``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from orders.settings import CONCERNS, Settings

ROOT = Path(__file__).parent.parent
DOCUMENT = Path("docs/settings.md")
EXAMPLE = Path(".env.example")

_HEAD = """# Settings

Every setting is an environment variable. A value that can't be used stops the process at its start, with one line that
names the variable. A time is in seconds (`3`, `0.5`) or as ISO 8601 has it (`PT3S`, `P7D`). An empty value means the
default.

Connections that are encrypted, by example: [connections.md](connections.md).

This page is made from the classes in `orders/settings/` by `make docs`.
"""


def document() -> str:
    """Give the text of ``docs/settings.md``."""
    parts = [_HEAD]
    for concern in CONCERNS:
        parts.append(f"\n## {_first_line(concern)}\n\n| variable | default | meaning |\n|---|---|---|\n")
        for name, default, meaning in _rows(concern):
            parts.append(f"| `{name}` | {f'`{default}`' if default else ''} | {meaning} |\n")
    return "".join(parts)


def example() -> str:
    """Give the text of ``.env.example``."""
    parts = ["# Every setting with its default. Copy to .env and load it: set -a; . ./.env; set +a\n"]
    for concern in CONCERNS:
        parts.append(f"\n# {_first_line(concern)}\n")
        parts += [f"# {meaning}\n# {name}={default}\n" for name, default, meaning in _rows(concern)]
    return "".join(parts)


def _rows(concern: type[Settings]) -> Iterator[tuple[str, str, str]]:
    for field in concern.model_fields.values():
        yield str(field.alias), _written(field.default), str(field.description)


def _written(default: Any) -> str:
    if isinstance(default, timedelta):
        return f"{default.total_seconds():g}" if default < timedelta(days=1) else f"P{default.days}D"
    if default is None or default == ():
        return ""
    if isinstance(default, tuple):
        return ",".join(default)
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    return str(default)


def _first_line(concern: type[Settings]) -> str:
    return (concern.__doc__ or "").splitlines()[0].rstrip(".")


if __name__ == "__main__":
    (ROOT / DOCUMENT).write_text(document())
    (ROOT / EXAMPLE).write_text(example())
