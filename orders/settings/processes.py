"""The processes: the workers, their logs, the command line and the local stack."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, Self

from pydantic import AliasChoices, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from orders.contracts import TASKS
from orders.settings.base import NotNegative, Settings


class WorkerSettings(Settings):
    """The workers."""

    graceful_shutdown: NotNegative = Field(
        timedelta(seconds=30),
        alias="WORKER_GRACEFUL_SHUTDOWN",
        description="how long running activities may take to end after SIGTERM; the process leaves 3 s later at most, "
        "or 8 s where a collector hangs",
    )
    cached_workflows: int = Field(
        1000,
        alias="WORKER_CACHED_WORKFLOWS",
        ge=0,
        description="how many open orders a worker keeps in memory; one that it doesn't is made anew from its history "
        "for each next step, with 0 every one",
    )
    health_host: str = Field(
        "127.0.0.1",
        alias="WORKER_HEALTH_HOST",
        min_length=1,
        description="address on which `/healthz` and `/readyz` of a worker are served; `0.0.0.0` in a container",
    )
    health_port: int | None = Field(
        None,
        alias="WORKER_HEALTH_PORT",
        ge=0,
        le=65535,
        description="port on which they are served, each process its own; 0 takes any, without one they are not served",
    )
    deployment_name: str | None = Field(
        None,
        alias="WORKER_DEPLOYMENT_NAME",
        validation_alias=AliasChoices("WORKER_DEPLOYMENT_NAME", "TEMPORAL_DEPLOYMENT_NAME"),
        max_length=255,
        pattern=r"^[^.:\s]+$",
        description="Temporal's name for processes that replace each other (worker versioning), which get tasks once "
        "their version is current; off by default. Also read from TEMPORAL_DEPLOYMENT_NAME",
    )
    build_id: str | None = Field(
        None,
        alias="WORKER_BUILD_ID",
        validation_alias=AliasChoices("WORKER_BUILD_ID", "TEMPORAL_WORKER_BUILD_ID"),
        max_length=255,
        pattern=r"^[^:\s]+$",
        description="which version of it this process is, such as a release or the digest of an image; also read from "
        "TEMPORAL_WORKER_BUILD_ID",
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if bool(self.deployment_name) != bool(self.build_id):
            lacking, given = (
                ("BUILD_ID", "DEPLOYMENT_NAME") if self.deployment_name else ("DEPLOYMENT_NAME", "BUILD_ID")
            )
            raise PydanticCustomError(f"WORKER_{lacking}", f"is needed with WORKER_{given}")
        return self


class LogSettings(Settings):
    """The logs, on standard output."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", alias="LOG_LEVEL", description="least level that is logged"
    )
    format: Literal["auto", "json", "text"] = Field(
        "auto",
        alias="LOG_FORMAT",
        description="`json`, an object a line; `text`, for people; `auto` is `text` in a terminal and `json` elsewhere",
    )


class ClientSettings(Settings):
    """The command line."""

    url: str = Field(
        "http://127.0.0.1:8000",
        alias="ORDERS_URL",
        pattern=r"^https?://",
        description="where the command line finds the API",
    )
    traces_url: str = Field(
        "http://127.0.0.1:4318",
        alias="ORDERS_TRACES_URL",
        pattern=r"^https?://",
        description="where the command line finds the spans that `orders up` keeps",
    )
    token: SecretStr | None = Field(
        None, alias="ORDERS_TOKEN", description="the bearer token that the command line sends, with AUTH_MODE=jwt"
    )


class StackSettings(Settings):
    """The local stack of ``orders up``."""

    temporal_port: int = Field(
        7233, alias="STACK_TEMPORAL_PORT", ge=0, le=65535, description="port of the embedded Temporal server"
    )
    temporal_ui_port: int = Field(
        8233, alias="STACK_TEMPORAL_UI_PORT", ge=0, le=65535, description="port of Temporal's web page"
    )
    otlp_port: int = Field(
        4318,
        alias="STACK_OTLP_PORT",
        ge=0,
        le=65535,
        description="port at which spans are taken and kept; unused where OpenTelemetry's settings send them elsewhere",
    )
    metrics_port: int = Field(
        9464,
        alias="STACK_METRICS_PORT",
        ge=0,
        le=65535 - len(TASKS),
        description="port of the API's `/metrics`; those of the workers follow",
    )
