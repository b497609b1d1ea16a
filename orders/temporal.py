"""How every process reaches Temporal: one place for the converter, the codec and the errors."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, DescribeTaskQueueResponse
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.service import KeepAliveConfig, RPCError, RPCStatusCode, TLSConfig

from orders.contracts import TASKS
from orders.errors import DependencyUnavailable
from orders.settings import TemporalSettings
from orders.telemetry import OFF, Telemetry

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

_REASONS = (
    (
        "NotValidForName",
        "the server's certificate is for another name: see TEMPORAL_ADDRESS and TEMPORAL_TLS_SERVER_NAME",
    ),
    ("InvalidCertificate", "the server's certificate is not trusted: see TEMPORAL_TLS_SERVER_CA_CERT_PATH"),
    ("InvalidMessage", "the server does not encrypt: see TEMPORAL_TLS"),
    ("AlertReceived", "the server refuses the client's certificate, or wants one: see TEMPORAL_TLS_CLIENT_CERT_PATH"),
    ("fatal alert", "the server refuses the client's certificate, or wants one: see TEMPORAL_TLS_CLIENT_CERT_PATH"),
    ("handshake eof", "the server breaks off before the connection is encrypted: see TEMPORAL_TLS"),
    ("code: Unauthenticated", "the server does not know this client: see TEMPORAL_API_KEY"),
    ("code: PermissionDenied", "the server refuses this client: see TEMPORAL_API_KEY and TEMPORAL_NAMESPACE"),
    ("hyper::Error", "the server breaks off the connection: see TEMPORAL_TLS and TEMPORAL_TLS_CLIENT_CERT_PATH"),
)
"""What Temporal's native client writes of a connection that fails (rustls, tonic), and what that means; the first one
counts."""


async def connect(settings: TemporalSettings, lazy: bool = False, telemetry: Telemetry = OFF) -> Client:
    """Connect to Temporal; a lazy client connects with its first call. Workers tell what their client tells.

    Certificates are read here, once.

    Raises:
        DependencyUnavailable: the server can't be reached; the message names the setting to look at.
    """
    try:
        return await Client.connect(
            settings.address,
            namespace=settings.namespace,
            api_key=settings.api_key.get_secret_value() if settings.api_key else None,
            tls=_tls(settings),
            data_converter=_converter(settings),
            lazy=lazy,
            keep_alive_config=KeepAliveConfig(
                interval_millis=round(1000 * settings.keep_alive.total_seconds()),
                timeout_millis=round(1000 * settings.keep_alive_timeout.total_seconds()),
            ),
            **telemetry.of_client,
        )
    except (RuntimeError, RPCError, ValueError) as error:
        raise DependencyUnavailable("Temporal", _why(error, f"={settings.address}")) from error


def _converter(settings: TemporalSettings) -> DataConverter:
    if not settings.encryption_keys:
        return pydantic_data_converter
    from orders.codec import Codec  # noqa: PLC0415 - `cryptography` takes its time, which who has no keys is to save

    codec = Codec(settings.encryption_keys)
    converter = replace(pydantic_data_converter, payload_codec=codec)
    if not codec.encrypts:
        return converter
    # By default the texts and the stack traces of errors are no payloads, which alone are encrypted.
    return replace(converter, failure_converter_class=DefaultFailureConverterWithEncodedAttributes)


def _tls(settings: TemporalSettings) -> TLSConfig | bool:
    return settings.is_encrypted and TLSConfig(
        server_root_ca_cert=_content(settings.ca),
        domain=settings.server_name,
        client_cert=_content(settings.client_cert),
        client_private_key=_content(settings.client_key),
    )


def _content(file: Path | None) -> bytes | None:
    return file.read_bytes() if file else None


def _why(error: Exception, address: str = "") -> str:
    if isinstance(error, RPCError):
        is_about_us = error.status in (RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED)
        return f"{error.message}: see TEMPORAL_API_KEY and TEMPORAL_NAMESPACE" if is_about_us else error.message
    known = (reason for mark, reason in _REASONS if mark in str(error))
    return next(known, f"nothing answers at TEMPORAL_ADDRESS{address}")


@dataclass(frozen=True)
class QueueStats:
    """What waits on a queue for one kind of task, and who works on it.

    ``backlog`` is how many tasks wait, about, and ``oldest`` since when the first of them does; the rates are tasks a
    second; ``pollers`` are the processes that have asked for tasks in the last minutes, at ``polled_at`` the last.
    """

    queue: str
    kind: str
    backlog: int
    oldest: timedelta
    added: float
    dispatched: float
    pollers: int
    polled_at: datetime | None


async def queue_stats(client: Client, timeout: timedelta) -> list[QueueStats]:
    """Ask Temporal about all queues.

    Raises:
        DependencyUnavailable: Temporal can't be reached.
    """
    asked = [_stats_of(client, queue, kind, timeout) for queue, kinds in TASKS.items() for kind in kinds]
    with _answering():
        return await asyncio.gather(*asked)


async def unpolled(client: Client, queues: Iterable[str], timeout: timedelta) -> list[str]:
    """Name the queues of which Temporal has not seen this process ask for tasks, of every kind, within five minutes.

    Raises:
        DependencyUnavailable: Temporal can't be reached.
    """

    async def is_unpolled(queue: str, kind: str) -> bool:
        found = await _describe(client, queue, kind, timeout)
        return client.identity not in {poller.identity for poller in found.pollers}

    asked = [(queue, kind) for queue in queues for kind in TASKS[queue]]
    with _answering():
        found = await asyncio.gather(*(is_unpolled(queue, kind) for queue, kind in asked))
    return list(dict.fromkeys(queue for (queue, _), lacking in zip(asked, found, strict=True) if lacking))


async def _stats_of(client: Client, queue: str, kind: str, timeout: timedelta) -> QueueStats:
    found = await _describe(client, queue, kind, timeout)
    polls = [poller.last_access_time.ToDatetime(tzinfo=UTC) for poller in found.pollers]
    return QueueStats(
        queue=queue,
        kind=kind,
        backlog=found.stats.approximate_backlog_count,
        oldest=found.stats.approximate_backlog_age.ToTimedelta(),
        added=found.stats.tasks_add_rate,
        dispatched=found.stats.tasks_dispatch_rate,
        pollers=len({poller.identity for poller in found.pollers}),
        polled_at=max(polls, default=None),
    )


async def _describe(client: Client, queue: str, kind: str, timeout: timedelta) -> DescribeTaskQueueResponse:
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.Value(f"TASK_QUEUE_TYPE_{kind.upper()}"),
        report_stats=True,
    )
    return await client.workflow_service.describe_task_queue(request, timeout=timeout)


async def ping(client: Client, timeout: timedelta) -> None:
    """Ask Temporal for a sign of life, and whether the namespace is there.

    Raises:
        DependencyUnavailable: there is none.
    """
    with _answering():
        await client.count_workflows("WorkflowId = 'nobody'", rpc_timeout=timeout)


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (RPCError, RuntimeError) as error:
        raise DependencyUnavailable("Temporal", _why(error)) from error
