"""How the processes log: one line an entry, on standard error."""

from __future__ import annotations

import logging

from orders.errors import DependencyUnavailable, PartnerMisuse, PartnerUnavailable, StaleWrite
from orders.settings import LogSettings, load

EXPECTED = (DependencyUnavailable, PartnerMisuse, PartnerUnavailable, StaleWrite)
"""What happens in the life of a distributed system, and is tried again: one line says all there is to say."""


def set_up_logging() -> None:
    """Log to standard error at the level of ``LOG_LEVEL``.

    Raises:
        InvalidSetting: it is no level.
    """
    level = load(LogSettings).level
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", force=True)
    # It logs Stripe's own texts, which may quote what was sent; what matters of them is in our errors.
    logging.getLogger("stripe").setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.addFilter(without_expected_traces)


def without_expected_traces(record: logging.LogRecord) -> bool:
    """Take the stack trace off an entry about something expected, and put its reason into the line."""
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    if isinstance(error, EXPECTED) or (error and record.name.startswith("sqlalchemy.pool")):
        record.msg, record.args = f"{record.getMessage()}: {error}", None
        record.exc_info = record.exc_text = None
    return True
