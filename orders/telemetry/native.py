"""Temporal's native library: what it says goes into the logs, as all else; by itself it writes to standard output."""

from __future__ import annotations

import logging

from temporalio.runtime import LogForwardingConfig, LoggingConfig, TelemetryFilter

LOGS = LoggingConfig(
    filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
    forwarding=LogForwardingConfig(logging.getLogger("temporalio.native"), append_target_to_name=False),
)
"""For each runtime that a process makes: without it, lines of another form would stand among ours."""
