"""Who tells: the same in traces and in metrics."""

from __future__ import annotations

import os
import uuid
from importlib.metadata import version

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.semconv.attributes.service_attributes import SERVICE_NAME, SERVICE_VERSION

from orders.settings import TelemetrySettings

NAMESPACE = "order-lifecycle"


def resource_of(service: str, settings: TelemetrySettings) -> Resource:
    """Describe this process; ``OTEL_RESOURCE_ATTRIBUTES`` adds to it and wins, but over ``OTEL_SERVICE_NAME``."""
    ours = {
        SERVICE_NAME: service,
        "service.namespace": NAMESPACE,
        SERVICE_VERSION: version("order-lifecycle"),
        "service.instance.id": str(uuid.uuid4()),
        **_function(),
    }
    theirs = {name: value for name, value in OTELResourceDetector().detect().attributes.items() if value}
    named = {SERVICE_NAME: settings.service_name} if settings.service_name else {}
    return Resource.create({**ours, **theirs, **named})


def _function() -> dict[str, str | int]:
    """Describe the function that this is, if AWS Lambda runs it (Semantic conventions, "FaaS Resource Attributes")."""
    name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
    if not name:
        return {}
    told = {
        "cloud.region": os.environ.get("AWS_REGION"),
        "faas.version": os.environ.get("AWS_LAMBDA_FUNCTION_VERSION"),
        "faas.instance": os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME"),
    }
    memory = int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "0")) * 2**20
    ours: dict[str, str | int] = {"cloud.provider": "aws", "cloud.platform": "aws_lambda", "faas.name": name}
    return (
        ours | {name: value for name, value in told.items() if value} | ({"faas.max_memory": memory} if memory else {})
    )
