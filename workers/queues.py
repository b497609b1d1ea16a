"""What each task queue runs: a new queue is a function here and an entry in ``QUEUES``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from orders.activities.ledger import LedgerActivities
from orders.activities.payments import PaymentActivities
from orders.activities.shipping import ShippingActivities
from orders.contracts import ORDERS_QUEUE, PAYMENTS_QUEUE, SHIPPING_QUEUE
from orders.ledger.engine import Database
from orders.ledger.writer import Ledger
from orders.settings import PartnerSettings
from orders.workflows.order import OrderWorkflow
from orders.workflows.shipping import ShippingWorkflow
from workers.gateways.books import CarrierBooks, PaymentBooks
from workers.gateways.simulated import SimulatedCarrier, SimulatedPayments, SimulatedWarehouse


@dataclass(frozen=True)
class Work:
    """The workflows and activities of one queue, and the threads that synchronous activities run in."""

    workflows: list[type] = field(default_factory=list)
    activities: list[Callable[..., Any]] = field(default_factory=list)
    threads: Executor | None = None


def orders(database: Database, partners: PartnerSettings) -> Work:
    """The order workflow and the ledger."""
    return Work([OrderWorkflow], [LedgerActivities(Ledger(database)).record], database.threads)


def payments(database: Database, partners: PartnerSettings) -> Work:
    """Calls to the payment provider."""
    activities = PaymentActivities(SimulatedPayments(PaymentBooks(database), partners))
    return Work(activities=[activities.charge, activities.refund])


def shipping(database: Database, partners: PartnerSettings) -> Work:
    """The shipping workflow and the calls to warehouse and carriers."""
    activities = ShippingActivities(SimulatedWarehouse(partners), SimulatedCarrier(CarrierBooks(database), partners))
    return Work([ShippingWorkflow], [activities.prepare, activities.dispatch, activities.put_back, activities.track])


QUEUES: Mapping[str, Callable[[Database, PartnerSettings], Work]] = {
    ORDERS_QUEUE: orders,
    PAYMENTS_QUEUE: payments,
    SHIPPING_QUEUE: shipping,
}
