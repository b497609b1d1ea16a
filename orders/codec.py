"""What Temporal stores, encrypted by keys that Temporal does not have.

This is the one module that loads ``cryptography``, and is loaded where there are keys only.
"""

from __future__ import annotations

import os
from base64 import b64decode
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from orders.errors import Undecipherable
from orders.settings.keys import PLAIN

ENCODING = b"binary/encrypted"
"""As Temporal's own samples name it."""
KEY_ID = "encryption-key-id"
"""Under which name a payload says by which key it is encrypted; likewise."""
NONCE = 12
"""The bytes of a nonce: random, so that one key is good for 2**32 payloads (NIST SP 800-38D, section 8.3)."""


class Codec(PayloadCodec):
    """Encrypts by the first of some keys, and decrypts by any of them (AES-256-GCM).

    A payload becomes the data of another one, with its metadata. The key's id can't be exchanged unnoticed. What is not
    encrypted is read as it is, so that encryption can begin while orders are under way.
    """

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        written = [key.get_secret_value() for key in keys]
        self.encrypts = written[0] != PLAIN
        parted = [key.partition(":") for key in written if key != PLAIN]
        self._keys = {name: AESGCM(b64decode(key)) for name, _, key in parted}
        self._first = parted[0][0]

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt payloads, unless nothing is to be encrypted."""
        return [self._encrypted(each) for each in payloads] if self.encrypts else list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt those payloads that are encrypted.

        Raises:
            Undecipherable: a key is not there, or is not the one by which a payload was encrypted.
        """
        return [self._decrypted(each) for each in payloads]

    def _encrypted(self, payload: Payload) -> Payload:
        key_id, nonce = self._first.encode(), os.urandom(NONCE)
        data = nonce + self._keys[self._first].encrypt(nonce, payload.SerializeToString(), _bound(key_id))
        return Payload(metadata={"encoding": ENCODING, KEY_ID: key_id}, data=data)

    def _decrypted(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        key_id, data = payload.metadata.get(KEY_ID, b""), payload.data
        name = key_id.decode(errors="replace")
        if not (key := self._keys.get(name)):
            raise Undecipherable(name, "ENCRYPTION_KEYS does not have it: add it, behind the first")
        try:
            return Payload.FromString(key.decrypt(data[:NONCE], data[NONCE:], _bound(key_id)))
        except (InvalidTag, ValueError) as error:
            raise Undecipherable(name, "it is another one than this was encrypted by, or this was changed") from error


def _bound(key_id: bytes) -> bytes:
    """Give what is authenticated along with a payload."""
    return ENCODING + b":" + key_id
