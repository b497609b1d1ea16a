"""What can be refused or go wrong in the domain.

::

    OrderError
    ├── InvalidAmount        an amount that its currency can't hold
    │   └── UnknownCurrency  not an ISO 4217 code that one can pay with
    ├── IllegalMove          a status can't follow another
    ├── Refused              a message that the order can't take where it stands
    ├── PartnerUnavailable   a partner did not answer, or answered that it can't now: ask again
    ├── StaleWrite           a write to the ledger that a newer decision has overtaken
    ├── DependencyUnavailable  the database or Temporal can't be reached
    └── InvalidSetting       an environment variable has a value that can't be used
"""

from __future__ import annotations


class OrderError(Exception):
    """Anything that the domain refuses or that fails in it."""


class InvalidAmount(OrderError):
    """An amount that its currency can't hold."""


class UnknownCurrency(InvalidAmount):
    """Not an ISO 4217 code that one can pay with."""

    def __init__(self, currency: str) -> None:
        super().__init__(f"{currency} is not an ISO 4217 currency in use")


class IllegalMove(OrderError):
    """A status can't follow another."""

    def __init__(self, now: str, to: str) -> None:
        super().__init__(f"{now} can't become {to}")
        self.now, self.to = now, to


class Refused(OrderError):
    """A message that the order can't take where it stands; the text says why."""


class PartnerUnavailable(OrderError):
    """A partner did not answer, or answered that it can't now: ask again under the same key."""


class StaleWrite(OrderError):
    """A write to the ledger that a newer decision has overtaken."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"the ledger holds a newer decision on {order_id}")


class DependencyUnavailable(OrderError):
    """The database or Temporal can't be reached; ``name`` says which."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} is unavailable: {reason}")
        self.name = name


class InvalidSetting(OrderError):
    """An environment variable has a value that can't be used; the text names it and says what to do."""
