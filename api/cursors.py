"""Where the next page of a list begins: signed, so that nobody comes to rely on making one up."""

from __future__ import annotations

import hashlib
from datetime import datetime

from fastapi.exceptions import RequestValidationError
from itsdangerous import BadData, URLSafeSerializer
from pydantic import SecretStr

from orders.ledger.engine import pg8000_url
from orders.ledger.lists import Position


class Cursors:
    """Writes and reads cursors; all who share the key understand each other's."""

    def __init__(self, key: bytes) -> None:
        self._signed = URLSafeSerializer(key, salt="cursor of orders", signer_kwargs={"digest_method": hashlib.sha256})

    @classmethod
    def of(cls, secret: SecretStr | None, database_url: SecretStr) -> Cursors:
        """Sign with a secret, or with what every replica knows and nobody has to hide: where the database is."""
        if secret:
            return cls(secret.get_secret_value().encode())
        return cls(pg8000_url(database_url.get_secret_value()).set(password=None).render_as_string().encode())

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
            return Position(datetime.fromisoformat(created_at), str(order_id))
        except (BadData, ValueError, TypeError) as error:
            message = "the cursor is not one that this service gave: begin again without it"
            problem = {"type": "value_error", "loc": ("query", "cursor"), "msg": message}
            raise RequestValidationError([problem]) from error
