"""What the processes tell of themselves: OpenTelemetry's own variables, as far as they decide something here.

The rest of them (``OTEL_EXPORTER_OTLP_HEADERS``, ``_TIMEOUT``, ``_CERTIFICATE``, ``OTEL_RESOURCE_ATTRIBUTES``,
``OTEL_BSP_*``, ``OTEL_METRIC_EXPORT_INTERVAL``, limits) are read by OpenTelemetry itself, as its specification has
them: "Environment Variable Specification" and "OTLP Exporter Configuration". What of it would be passed over is refused
by `SdkSettings`.
"""

from __future__ import annotations

import os
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PositiveFloat, PositiveInt, SecretStr, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode

from orders.settings.base import Settings, as_list

EXPORTERS = ("otlp", "prometheus", "none")


def _known_exporters(names: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := sorted(set(names) - set(EXPORTERS)):
        raise ValueError(f"{unknown[0]} is not known here; choose from {', '.join(EXPORTERS)}")
    if "none" in names and len(names) > 1:
        raise ValueError("none goes with no other")
    return names


Exporters = Annotated[tuple[str, ...], NoDecode, BeforeValidator(as_list), AfterValidator(_known_exporters)]


def _are_headers(headers: SecretStr) -> SecretStr:
    if not all(_HEADER.fullmatch(header.strip()) for header in headers.get_secret_value().split(",") if header.strip()):
        raise ValueError("write name=value, with commas between several, and other characters as in a URL (%2C)")
    return headers


_HEADER = re.compile(r"[!#-'*+\-.0-9A-Z^-z|~]+[ \t]*=[ !#-+\--:<-\[\]-~]*")
"""A pair as the SDK reads it; it leaves out any other, and quotes it in the log."""
Headers = Annotated[SecretStr, AfterValidator(_are_headers)]


class TelemetrySettings(Settings):
    """Traces and metrics (OpenTelemetry's own variables)."""

    disabled: bool = Field(
        default=False,
        alias="OTEL_SDK_DISABLED",
        description="`true` turns off traces and metrics, whatever else is set",
    )
    service_name: str | None = Field(
        None,
        alias="OTEL_SERVICE_NAME",
        description="what the process is called in all it tells; `orders-api`, or `orders-worker-` and its queue",
    )
    endpoint: str | None = Field(
        None,
        alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        pattern=r"^https?://",
        description="where a collector takes OTLP by HTTP, such as `http://collector:4318`; without it nothing is sent",
    )
    protocol: Literal["http/protobuf"] = Field(
        "http/protobuf", alias="OTEL_EXPORTER_OTLP_PROTOCOL", description="the one protocol that is built in"
    )
    traces_exporter: Literal["otlp", "none"] | None = Field(
        None,
        alias="OTEL_TRACES_EXPORTER",
        description="`otlp` or `none`; by default `otlp` where there is an endpoint",
    )
    metrics_exporters: Exporters = Field(
        (),
        alias="OTEL_METRICS_EXPORTER",
        description="`otlp`, `prometheus` (served at `/metrics`), both with a comma, or `none`; by default `otlp` "
        "where there is an endpoint",
    )
    prometheus_host: str = Field(
        "localhost",
        alias="OTEL_EXPORTER_PROMETHEUS_HOST",
        min_length=1,
        description="address on which `/metrics` is served; `0.0.0.0` in a container",
    )
    prometheus_port: int = Field(
        9464,
        alias="OTEL_EXPORTER_PROMETHEUS_PORT",
        ge=0,
        le=65535,
        description="port on which `/metrics` is served, by the API and by each worker alike; 0 takes any",
    )
    sampler: Literal[
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ] = Field(
        "parentbased_always_on",
        alias="OTEL_TRACES_SAMPLER",
        description="which traces are recorded; by default all but those that a caller's `traceparent` says not to",
    )
    sampler_argument: float = Field(
        1.0,
        alias="OTEL_TRACES_SAMPLER_ARG",
        ge=0,
        le=1,
        description="share of the traces that are recorded, with one of the `traceidratio` samplers",
    )
    sql_comments: bool = Field(
        default=False,
        alias="DATABASE_SQL_COMMENTS",
        description="`true` writes `traceparent` into each statement as a comment, so that PostgreSQL's logs name it; "
        "then no statement is prepared twice alike",
    )

    @property
    def traces(self) -> bool:
        """Whether spans are sent."""
        wanted = self.traces_exporter or ("otlp" if self._has_endpoint("TRACES") else "none")
        return not self.disabled and wanted == "otlp"

    @property
    def metrics(self) -> frozenset[str]:
        """Where metrics go: ``otlp``, ``prometheus``."""
        wanted = self.metrics_exporters or (("otlp",) if self._has_endpoint("METRICS") else ())
        return frozenset() if self.disabled else frozenset(wanted) - {"none"}

    def _has_endpoint(self, signal: str) -> bool:
        return bool(self.endpoint or os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"))


class SdkSettings(Settings):
    """What OpenTelemetry's SDK reads by itself, and would pass over, or fail by, where it can't use it."""

    queue: PositiveInt = Field(2048, alias="OTEL_BSP_MAX_QUEUE_SIZE")
    batch: PositiveInt = Field(512, alias="OTEL_BSP_MAX_EXPORT_BATCH_SIZE")
    schedule_delay: PositiveInt = Field(5000, alias="OTEL_BSP_SCHEDULE_DELAY")
    batch_timeout: PositiveInt = Field(30_000, alias="OTEL_BSP_EXPORT_TIMEOUT")
    metric_interval: PositiveFloat = Field(60_000, alias="OTEL_METRIC_EXPORT_INTERVAL")
    metric_timeout: PositiveFloat = Field(30_000, alias="OTEL_METRIC_EXPORT_TIMEOUT")
    timeout: PositiveFloat = Field(10, alias="OTEL_EXPORTER_OTLP_TIMEOUT")
    traces_timeout: PositiveFloat = Field(10, alias="OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")
    metrics_timeout: PositiveFloat = Field(10, alias="OTEL_EXPORTER_OTLP_METRICS_TIMEOUT")
    headers: Headers = Field(SecretStr(""), alias="OTEL_EXPORTER_OTLP_HEADERS")
    traces_headers: Headers = Field(SecretStr(""), alias="OTEL_EXPORTER_OTLP_TRACES_HEADERS")
    metrics_headers: Headers = Field(SecretStr(""), alias="OTEL_EXPORTER_OTLP_METRICS_HEADERS")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.batch > self.queue:
            room = f"{self.batch} don't fit into OTEL_BSP_MAX_QUEUE_SIZE={self.queue}: set {self.queue} or less"
            raise PydanticCustomError("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", room)
        return self
