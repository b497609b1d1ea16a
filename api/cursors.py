"""Where the next page of a list begins: signed, so that nobody comes to rely on making one up."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import datetime

from fastapi.exceptions import RequestValidationError
from itsdangerous import BadData, URLSafeSerializer
from pydantic import SecretStr

from orders.ledger.lists import OrderFilter, Position

ROUNDS = 100_000
"""How often a guess at DATABASE_URL has to be hashed by somebody who has a cursor."""


class Cursors:
    """Writes and reads cursors, each of which is good for one query; all who share the key understand each other's."""

    def __init__(self, key: bytes) -> None:
        self._signed = URLSafeSerializer(key, salt="cursor of orders", signer_kwargs={"digest_method": hashlib.sha256})

    @classmethod
    def of(cls, secret: SecretStr | None, database_url: SecretStr) -> Cursors:
        """Sign with a secret, or with a key made from what every replica has: the database's address."""
        if secret:
            return cls(secret.get_secret_value().encode())
        return cls(hashlib.pbkdf2_hmac("sha256", database_url.get_secret_value().encode(), b"cursors", ROUNDS))

    def write(self, position: Position, wanted: OrderFilter) -> str:
        """Give the cursor for what comes behind a position."""
        return str(self._signed.dumps([position.created_at.isoformat(), position.id, _digest(wanted)]))

    def read(self, cursor: str, wanted: OrderFilter) -> Position:
        """Give the position.

        Raises:
            RequestValidationError: it is not one of our cursors, or is of a query with other filters.
        """
        try:
            created_at, order_id, of_query = self._signed.loads(cursor)
        except BadData as error:
            raise _refused("is not one that this service gave") from error
        if of_query != _digest(wanted):
            raise _refused("is of a list with other filters")
        return Position(datetime.fromisoformat(created_at), order_id)


def _digest(wanted: OrderFilter) -> str:
    values = {**asdict(wanted), "statuses": sorted(wanted.statuses)}
    return hashlib.sha256(json.dumps(values, default=str).encode()).hexdigest()[:32]


def _refused(why: str) -> RequestValidationError:
    problem = {"type": "value_error", "loc": ("query", "cursor"), "msg": f"the cursor {why}: begin again without it"}
    return RequestValidationError([problem])
