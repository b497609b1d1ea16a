"""Where the next page of a list begins: signed, so that nobody comes to rely on making one up."""

from __future__ import annotations

import hashlib
from datetime import datetime

from fastapi.exceptions import RequestValidationError
from itsdangerous import BadData, URLSafeSerializer
from pydantic import SecretStr

from orders.ledger.lists import Position

ROUNDS = 100_000
"""How often a guess at DATABASE_URL has to be hashed by somebody who has a cursor."""


class Cursors:
    """Writes and reads cursors; all who share the key understand each other's."""

    def __init__(self, key: bytes) -> None:
        self._signed = URLSafeSerializer(key, salt="cursor of orders", signer_kwargs={"digest_method": hashlib.sha256})

    @classmethod
    def of(cls, secret: SecretStr | None, database_url: SecretStr) -> Cursors:
        """Sign with a secret, or with a key made from what every replica has: the database's address."""
        if secret:
            return cls(secret.get_secret_value().encode())
        return cls(hashlib.pbkdf2_hmac("sha256", database_url.get_secret_value().encode(), b"cursors", ROUNDS))

    def write(self, position: Position) -> str:
        """Give the cursor for what comes behind a position."""
        return str(self._signed.dumps([position.created_at.isoformat(), position.id]))

    def read(self, cursor: str) -> Position:
        """Give the position.

        Raises:
            RequestValidationError: it is not one of our cursors.
        """
        try:
            created_at, order_id = self._signed.loads(cursor)
        except BadData as error:
            message = "the cursor is not one that this service gave: begin again without it"
            problem = {"type": "value_error", "loc": ("query", "cursor"), "msg": message}
            raise RequestValidationError([problem]) from error
        return Position(datetime.fromisoformat(created_at), order_id)
