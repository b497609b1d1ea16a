"""What the processes of the system read at their start, and whether a container gives it to them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from unittest import mock

import trustme

from orders.settings import (
    CONCERNS,
    ApiSettings,
    AuthSettings,
    ClientSettings,
    DatabaseSettings,
    LifecycleSettings,
    LogSettings,
    PartnerSettings,
    SdkSettings,
    Settings,
    TelemetrySettings,
    TemporalSettings,
    WebhookSettings,
    WorkerSettings,
    load,
)
from tests.deploy.documents import Document, Pod, environment

_ALL = (LogSettings, DatabaseSettings)
_SERVING = (*_ALL, TemporalSettings, TelemetrySettings, SdkSettings)
READ: dict[str, tuple[type[Settings], ...]] = {
    "api": (*_SERVING, LifecycleSettings, ApiSettings, AuthSettings, WebhookSettings),
    "worker": (*_SERVING, WorkerSettings, PartnerSettings),
    "migrations": _ALL,
    "smoke": (ClientSettings,),
}
"""What a process loads, by the name of its container."""
SECRETS = {
    "DATABASE_URL": "postgresql://orders:secret@postgres:5432/orders",
    "TEMPORAL_API_KEY": "an-api-key",
    "ENCRYPTION_KEYS": "2026-11:" + "A" * 43 + "=",
    "API_CURSOR_SECRET": "a secret of 16 characters",
    "CARRIER_WEBHOOK_SECRETS": "a secret of 16 characters",
    "STRIPE_WEBHOOK_SECRETS": "whsec_0123456789abcdef",
    "STRIPE_API_KEY": "sk_test_0123456789",
    "OTEL_EXPORTER_OTLP_HEADERS": "x-team=shop",
    "ORDERS_TOKEN": "a.token.signed",
}
"""What Secrets hold, by the variable that is made from them."""


def variables(concern: type[Settings]) -> list[str]:
    """Name the variables of one concern."""
    return [str(field.alias) for field in concern.model_fields.values()]


def known(concerns: Iterable[type[Settings]] = (*CONCERNS, SdkSettings)) -> set[str]:
    """Name the variables of some concerns, by default of all."""
    return {name for concern in concerns for name in variables(concern)}


def start(pod: Pod, container: Document, folder: Path) -> dict[type[Settings], Settings]:
    """Load the settings as the process in a container would, its files being made in a folder.

    Raises:
        InvalidSetting: the process would not start.
    """
    files = _files(pod, container, folder)
    given = {name: value if isinstance(value, str) else SECRETS[name] for name, value in environment(container).items()}
    given = {name: str(files.get(value, value)) for name, value in given.items()}
    with mock.patch.dict(os.environ, given):
        loaded = {concern: load(concern) for concern in READ[container["name"]]}
        if container["name"] == "api":
            load(AuthSettings).for_api_at(load(ApiSettings).host)
    return loaded


def _files(pod: Pod, container: Document, folder: Path) -> dict[str, Path]:
    """Make what is mounted of Secrets; give the path of each file by the one that it has in the container."""
    volumes = {each["name"]: each["secret"] for each in pod.spec["volumes"] if "secret" in each}
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    items = [(mounts[name], item) for name in mounts.keys() & volumes for item in volumes[name]["items"]]
    authority = trustme.CA()
    certificate = authority.issue_cert("orders.example.com")
    made: dict[str, Path] = {}
    for mount, item in items:
        path = f"{mount}/{item['path']}"
        made[path] = folder / path.lstrip("/")
        made[path].parent.mkdir(parents=True, exist_ok=True)
        blob = authority.cert_pem if item["key"].startswith("ca") else certificate.cert_chain_pems[0]
        (certificate.private_key_pem if item["key"].endswith(".key") else blob).write_to_path(made[path])
    return made
