"""How every process reaches Temporal: one place for the converter and the errors."""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, RPCStatusCode

from orders.errors import DependencyUnavailable
from orders.settings import TemporalSettings

AWAY = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.UNKNOWN,
    }
)
"""The gRPC status codes that mean "not now" (gRPC, "Status codes and their use")."""


async def connect(settings: TemporalSettings, lazy: bool = False) -> Client:
    """Connect to Temporal; a lazy client connects with its first call.

    Raises:
        DependencyUnavailable: the server can't be reached; the message names the setting to look at.
    """
    try:
        return await Client.connect(
            settings.address, namespace=settings.namespace, data_converter=pydantic_data_converter, lazy=lazy
        )
    except (RuntimeError, RPCError, ValueError) as error:
        raise DependencyUnavailable("Temporal", f"nothing answers at TEMPORAL_ADDRESS={settings.address}") from error


async def ping(client: Client, timeout: timedelta) -> None:
    """Ask Temporal for a sign of life, and whether the namespace is there.

    Raises:
        DependencyUnavailable: there is none.
    """
    try:
        await client.count_workflows("WorkflowId = 'nobody'", rpc_timeout=timeout)
    except RPCError as error:
        raise DependencyUnavailable("Temporal", error.message.splitlines()[0]) from error
    except RuntimeError as error:
        raise DependencyUnavailable("Temporal", "nothing answers at TEMPORAL_ADDRESS") from error
