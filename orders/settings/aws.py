"""The API as a function of AWS Lambda."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from orders.settings.base import Positive, Settings


def _is_prefix(path: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", path):
        raise ValueError("write it as /shop: with a slash before it and none behind")
    return path


class LambdaSettings(Settings):
    """AWS Lambda: what the API needs to know of it when it runs there."""

    secret: str | None = Field(
        None,
        alias="SETTINGS_SECRET_ARN",
        description="a secret in AWS Secrets Manager, an object of settings by their names, such as "
        '`{"TEMPORAL_API_KEY": "…"}`; read once, before the first request. What is set as a variable counts first',
    )
    base_path: Annotated[str, AfterValidator(_is_prefix)] = Field(
        "",
        alias="LAMBDA_BASE_PATH",
        description="path under which a custom domain has the API, such as `/shop`, whether the gateway takes it off "
        "or not: links have it, too. Stages are known by themselves",
    )
    gateway_timeout: Positive = Field(
        timedelta(seconds=29),
        alias="LAMBDA_GATEWAY_TIMEOUT",
        description="when the gateway gives up, from the moment in which it took the request; any request is answered "
        "before that, and before the function's own time is over",
    )
    flush_timeout: Positive = Field(
        timedelta(seconds=1),
        alias="LAMBDA_FLUSH_TIMEOUT",
        description="how long an answer may wait until its spans and metrics are sent: behind it the function is "
        "frozen",
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        most = self.gateway_timeout.total_seconds() / 2
        if self.flush_timeout.total_seconds() > most:
            left = f"leaves a request less than half of LAMBDA_GATEWAY_TIMEOUT: set {most:g} or less"
            raise PydanticCustomError("LAMBDA_FLUSH_TIMEOUT", left)
        return self
