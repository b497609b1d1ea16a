"""What an order counts of itself: once each, and not again when its history is replayed."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orders.model import FINAL, Event, EventType, OrderStatus


class Tally:
    """Counts an order's beginning and its end, and for how long it was in each status in between.

    A worker that dies in the middle of a task leaves it to another, which counts again what that task has told.
    """

    def __init__(self, received: Event) -> None:
        meter = workflow.metric_meter()
        self._finished = meter.create_counter("orders.finished", "Orders at their end, by which one it is.", "{order}")
        self._declined = meter.create_counter("orders.payments.declined", "Payment methods declined.", "{payment}")
        self._lasted = meter.create_histogram_float(
            "orders.step.duration", "For how long orders were in a status, when they left it.", "s"
        )
        self._status, self._since = OrderStatus.RECEIVED, received.at
        meter.create_counter("orders.placed", "Orders that began.", "{order}").add(1)

    def count(self, event: Event, status: OrderStatus) -> None:
        """Count an event that has left the order in this status."""
        if event.type is EventType.PAYMENT_DECLINED:
            self._declined.add(1)
        if status is self._status:
            return
        # Partners tell when something happened by clocks of their own.
        lasted = max(0.0, (event.at - self._since).total_seconds())
        self._lasted.record(lasted, {"step": self._status.value})
        self._status, self._since = status, event.at
        if status in FINAL:
            self._finished.add(1, {"outcome": status.value})
