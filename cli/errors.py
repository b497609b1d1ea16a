"""What the command line can't do."""

from __future__ import annotations


class StackError(Exception):
    """The stack can't start, or something else is not possible here; the text is one line that says what to do."""
