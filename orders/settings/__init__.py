"""Every setting there is, one class per concern: environment variables by pydantic-settings.

A setting is read where a process is put together (``api/app.py``, ``workers/runner.py``, ``migrations/``,
``cli/``) and passed on from there; workflows never see one.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import ValidationError

from orders.errors import InvalidSetting
from orders.settings.aws import LambdaSettings
from orders.settings.base import Settings
from orders.settings.http import ApiSettings, AuthSettings, WebhookSettings
from orders.settings.lifecycle import LifecycleSettings
from orders.settings.partners import PartnerSettings
from orders.settings.processes import ClientSettings, LogSettings, StackSettings, WorkerSettings
from orders.settings.servers import DatabaseSettings, TemporalSettings
from orders.settings.telemetry import SdkSettings, TelemetrySettings

__all__ = [
    "CONCERNS",
    "ApiSettings",
    "AuthSettings",
    "ClientSettings",
    "DatabaseSettings",
    "LambdaSettings",
    "LifecycleSettings",
    "LogSettings",
    "PartnerSettings",
    "SdkSettings",
    "Settings",
    "StackSettings",
    "TelemetrySettings",
    "TemporalSettings",
    "WebhookSettings",
    "WorkerSettings",
    "load",
]

CONCERNS: tuple[type[Settings], ...] = (
    TemporalSettings,
    DatabaseSettings,
    LifecycleSettings,
    ApiSettings,
    AuthSettings,
    LambdaSettings,
    WorkerSettings,
    PartnerSettings,
    WebhookSettings,
    TelemetrySettings,
    LogSettings,
    ClientSettings,
    StackSettings,
)

SomeSettings = TypeVar("SomeSettings", bound=Settings)


def load(concern: type[SomeSettings], **given: Any) -> SomeSettings:
    """Read one concern's settings; ``given`` values win over the environment.

    Raises:
        InvalidSetting: a value can't be used; the message is one line that names the variable.
    """
    try:
        return concern(**given)
    except ValidationError as error:
        first = error.errors()[0]
        # What two settings have to agree on has no place of its own: its type names the one to change.
        name = first["loc"][0] if first["loc"] else first["type"]
        # What pydantic puts before the words of a check of ours.
        raise InvalidSetting(f"{name}: {first['msg'].removeprefix('Value error, ')}") from error
