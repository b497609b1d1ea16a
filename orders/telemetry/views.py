"""Which buckets a duration falls into, and which labels our own counters keep."""

from __future__ import annotations

from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View

CALL = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""In seconds: how long a call, a task, or the wait for a worker may take."""
MINUTE, HOUR, DAY = 60, 3600, 86400
STEP = (
    *(0.01, 0.05, 0.1, 0.25, 0.5, 1, 5, 15),
    *(MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR),
    *(DAY, 2 * DAY, 4 * DAY, 7 * DAY, 14 * DAY, 30 * DAY),
)
"""In seconds: how long an order may be in one status, from a call to the way of a parcel."""


def views() -> list[View]:
    """Make the views. No two match the same instrument: it would be counted in both."""
    calls, steps = ExplicitBucketHistogramAggregation(CALL), ExplicitBucketHistogramAggregation(STEP)
    # The SDK marks what a workflow counts with the namespace, the queue and the workflow's type, which say nothing new.
    return [
        View(instrument_name="orders.placed", attribute_keys=set()),
        View(instrument_name="orders.payments.declined", attribute_keys=set()),
        View(instrument_name="orders.finished", attribute_keys={"outcome"}),
        View(instrument_name="orders.step.duration", attribute_keys={"step"}, aggregation=steps),
        View(instrument_name="temporal_workflow_endtoend_latency", aggregation=steps),
        *(View(instrument_name=f"temporal_*{name}_latency", aggregation=calls) for name in _CALLS),
    ]


_CALLS = ("request", "schedule_to_start", "execution", "replay", "succeed_endtoend")
