"""Keys to encrypt by, in tests."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

from orders.settings import TemporalSettings, load


def key(name: str) -> str:
    """A key as ``ENCRYPTION_KEYS`` has it, the same for the same name."""
    return f"{name}:{b64encode(sha256(name.encode()).digest()).decode()}"


def with_keys(settings: TemporalSettings, *keys: str) -> TemporalSettings:
    """The same server, with what is stored there encrypted."""
    given = load(TemporalSettings, ENCRYPTION_KEYS=",".join(keys))
    return settings.model_copy(update={"encryption_keys": given.encryption_keys})
