"""What Temporal's web page and command line send to a codec endpoint, and get back."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import BaseModel, Field, StringConstraints
from temporalio.api.common.v1 import Payload

Base64 = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$")]
"""Bytes (RFC 4648, section 4)."""


class PayloadBody(BaseModel):
    """One value as Temporal stores it, in JSON (Protocol Buffers, "ProtoJSON Format"); it may have more fields."""

    metadata: dict[str, Base64] = Field(default_factory=dict, examples=[{"encoding": "anNvbi9wbGFpbg=="}])
    data: Base64 = Field(default="", examples=["InBhaWQi"])


class PayloadsBody(BaseModel):
    """Some of them."""

    # As many as take a few hundredths of a second of the event loop.
    payloads: list[PayloadBody] = Field(default_factory=list, max_length=1000)

    @classmethod
    def of(cls, payloads: Iterable[Payload]) -> Self:
        """Write payloads down."""
        return cls(
            payloads=[
                PayloadBody(
                    metadata={name: _written(each.metadata[name]) for name in each.metadata}, data=_written(each.data)
                )
                for each in payloads
            ]
        )

    def found(self) -> list[Payload]:
        """Read the payloads."""
        return [
            Payload(
                metadata={name: b64decode(value) for name, value in each.metadata.items()}, data=b64decode(each.data)
            )
            for each in self.payloads
        ]


def _written(content: bytes) -> str:
    return b64encode(content).decode()
