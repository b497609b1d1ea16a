"""How the processes log: one line an entry, on standard error."""

from __future__ import annotations

import logging

from orders.settings import LogSettings, load


def set_up_logging() -> None:
    """Log to standard error at the level of ``LOG_LEVEL``.

    Raises:
        InvalidSetting: it is no level.
    """
    level = load(LogSettings).level
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", force=True)
