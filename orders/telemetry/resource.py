"""Who tells: the same in traces and in metrics."""

from __future__ import annotations

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
    }
    theirs = {name: value for name, value in OTELResourceDetector().detect().attributes.items() if value}
    named = {SERVICE_NAME: settings.service_name} if settings.service_name else {}
    return Resource.create({**ours, **theirs, **named})
