"""The keys by which what Temporal stores is encrypted."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from orders.settings.base import as_list

PLAIN = "plain"
"""What stands in the place of the first key where nothing is to be encrypted yet, or any more."""
_KEY = re.compile(r"([A-Za-z0-9._-]{1,64}):[A-Za-z0-9+/]{43}=")
"""An id, and 32 bytes in base64 (RFC 4648, section 4)."""


def _are_keys(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    written = [key.get_secret_value() for key in keys]
    if written[:1] == [PLAIN]:
        del written[0]
        if not written:
            raise ValueError(f"{PLAIN} stands alone: write keys behind it, or leave it out")
    ids = []
    for number, key in enumerate(written, 1):
        # What is wrong is not shown: it may be the key, without its id.
        if not (found := _KEY.fullmatch(key)):
            raise ValueError(f"key {number} is none: write ID:KEY, with KEY made by `openssl rand -base64 32`")
        ids.append(found[1])
    if twice := [name for number, name in enumerate(ids) if name in ids[:number]]:
        raise ValueError(f"{twice[0]} names two keys: give each an id of its own, which it keeps")
    return keys


EncryptionKeys = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(as_list), AfterValidator(_are_keys)]
