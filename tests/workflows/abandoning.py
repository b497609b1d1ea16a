"""A way around a fault of Temporal's time-skipping server.

It refuses a workflow task that calls an activity off in the moment in which that one ends (``ACTIVITY_UNKNOWN``), and
the workflow stands still. With this, an activity that is called off is abandoned instead: it goes on, and nobody hears
of it any more, which is the harder case for the code under test.
"""

from __future__ import annotations

from typing import Any

from temporalio.worker import (
    Interceptor,
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from temporalio.workflow import ActivityCancellationType, ActivityHandle


class Abandoning(Interceptor):
    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002
        return _Inbound


class _Inbound(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_Outbound(outbound))


class _Outbound(WorkflowOutboundInterceptor):
    def start_activity(self, input: StartActivityInput) -> ActivityHandle[Any]:  # noqa: A002
        input.cancellation_type = ActivityCancellationType.ABANDON
        return super().start_activity(input)
