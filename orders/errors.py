"""What can be refused or go wrong in the domain.

::

    OrderError
    ├── InvalidAmount        an amount that its currency can't hold
    │   └── UnknownCurrency  not an ISO 4217 code that one can pay with
    ├── IllegalMove          a status can't follow another
    ├── ImpossibleAmendment  a change of quantities that the order can't take
    ├── Refused              a message that the order can't take where it stands
    ├── PartnerUnavailable   a partner did not answer, or answered that it can't now: ask again
    ├── PartnerMisuse        a partner says that we ask wrongly: somebody has to mend that first
    ├── DispatchRefused      a carrier does not take this parcel
    ├── Forged               a message from outside that is not signed as it should be
    ├── StaleWrite           a write to the ledger that a newer decision has overtaken
    ├── Overloaded           too much is going on in this process
    ├── DependencyUnavailable  the database or Temporal can't be reached
    │   ├── SchemaBehind     the database's schema is older than the code needs
    │   └── Undecipherable   what Temporal stores is encrypted by a key that is not at hand
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


class ImpossibleAmendment(OrderError):
    """A change of quantities that the order can't take; the text says why."""


class Refused(OrderError):
    """A message that the order can't take where it stands; the text says why."""


class PartnerUnavailable(OrderError):
    """A partner did not answer, or answered that it can't now: ask again under the same key."""


class PartnerMisuse(OrderError):
    """A partner says that we ask wrongly (a wrong key, a wrong parameter): somebody has to mend that first."""


class DispatchRefused(OrderError):
    """A carrier does not take this parcel, and has not taken it; the text says why."""


class Forged(OrderError):
    """A message from outside that is not signed as it should be, or too long ago; the text says which."""


class StaleWrite(OrderError):
    """A write to the ledger that a newer decision has overtaken."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"the ledger holds a newer decision on {order_id}")


class DependencyUnavailable(OrderError):
    """The database or Temporal can't be reached; ``name`` says which, ``told`` is what anybody may hear of it."""

    def __init__(self, name: str, reason: str, told: str | None = None) -> None:
        super().__init__(f"{name} is unavailable: {reason}")
        self.name, self.told = name, told or name


class SchemaBehind(DependencyUnavailable):
    """The database's schema is older than the code needs; ``found`` is its revision, None that of an empty database."""

    def __init__(self, found: str | None, needed: str) -> None:
        state = f"the schema of the database is at {found}" if found else "the database has no schema yet"
        reason = f"{state}, this release needs {needed}: run python -m migrations"
        super().__init__("migrations", reason, told=f"migrations ({reason})")
        self.args = (reason,)


class Undecipherable(DependencyUnavailable):
    """What Temporal stores is encrypted by a key that is not at hand; the text names the key and says what to do."""

    def __init__(self, key_id: str, reason: str) -> None:
        # The id may come from anywhere.
        super().__init__(f"the encryption key {key_id[:64]!r}", reason)


class Overloaded(OrderError):
    """Too much is going on in this process; the text says what there is too much of."""


class InvalidSetting(OrderError):
    """An environment variable has a value that can't be used; the text names it and says what to do."""


SAYABLE = frozenset(
    kind.__name__ for kind in (PartnerUnavailable, PartnerMisuse, DependencyUnavailable, Undecipherable)
)
"""The errors whose texts are ours, and may be shown to anybody."""


def sayable(kind: str | None, text: str) -> str:
    """Say of an error what anybody may read: a text that is not ours may hold SQL, addresses or names."""
    return text if kind in SAYABLE else f"an unexpected error ({kind or 'of unknown type'}): the worker's log says more"
