"""Who tells: the same in traces and in metrics."""

from __future__ import annotations

import uuid
from importlib.metadata import version

from opentelemetry.sdk.resources import Resource
from opentelemetry.semconv.attributes.service_attributes import SERVICE_NAME, SERVICE_VERSION

from orders.settings import TelemetrySettings

NAMESPACE = "order-lifecycle"


def resource_of(service: str, settings: TelemetrySettings) -> Resource:
    """Describe this process; ``OTEL_RESOURCE_ATTRIBUTES`` may add to it, and wins where both speak."""
    described = Resource(
        {
            SERVICE_NAME: settings.service_name or service,
            "service.namespace": NAMESPACE,
            SERVICE_VERSION: version("order-lifecycle"),
            "service.instance.id": str(uuid.uuid4()),
        }
    )
    return Resource.create().merge(described) if settings.service_name else Resource.create(described.attributes)
