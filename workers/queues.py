"""What each task queue runs: a new queue is a function here and an entry in ``QUEUES``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from temporalio.common import VersioningBehavior
from temporalio.worker import Interceptor

from orders.activities.ledger import LedgerActivities
from orders.activities.payments import PaymentActivities
from orders.activities.shipping import ShippingActivities
from orders.contracts import ORDERS_QUEUE, PAYMENTS_QUEUE, SHIPPING_QUEUE
from orders.errors import InvalidSetting
from orders.ledger.engine import Database
from orders.ledger.writer import Ledger
from orders.ports import PaymentGateway
from orders.settings import PartnerSettings
from orders.workflows.order import OrderWorkflow
from orders.workflows.refusal import RefusalWorkflow
from orders.workflows.shipping import ShippingWorkflow
from workers.faults import Faults
from workers.gateways.books import CarrierBooks, PaymentBooks
from workers.gateways.simulated import SimulatedCarrier, SimulatedPayments, SimulatedWarehouse
from workers.gateways.traced import traced


@dataclass(frozen=True)
class Work:
    """The workflows and activities of one queue, what stands around them, and the threads of synchronous activities."""

    workflows: list[type] = field(default_factory=list)
    activities: list[Callable[..., Any]] = field(default_factory=list)
    interceptors: list[Interceptor] = field(default_factory=list)
    threads: Executor | None = None
    close: Callable[[], None] = lambda: None
    """Lets go what only this queue uses."""
    versioning: VersioningBehavior = VersioningBehavior.AUTO_UPGRADE
    """Whether workflows move on to newer versions of the workers, where these have versions (decision 14)."""


def orders(database: Database, partners: PartnerSettings) -> Work:
    """The order workflow and the ledger."""
    ledger = LedgerActivities(Ledger(database))
    return Work([OrderWorkflow, RefusalWorkflow], [ledger.record, ledger.record_refusal], threads=database.threads)


def payments(database: Database, partners: PartnerSettings) -> Work:
    """Calls to the payment provider."""
    gateway, close = _payment_gateway(database, partners)
    of = PaymentActivities(traced(gateway, "payment provider"))
    return Work([], [of.authorize, of.capture, of.void, of.refund], _faults(partners), close=close)


def shipping(database: Database, partners: PartnerSettings) -> Work:
    """The shipping workflow and the calls to warehouse and carriers."""
    warehouse, carrier = SimulatedWarehouse(partners), SimulatedCarrier(CarrierBooks(database), partners)
    of = ShippingActivities(traced(warehouse, "warehouse"), traced(carrier, "carrier"))
    return Work(
        [ShippingWorkflow],
        [of.prepare, of.dispatch, of.put_back, of.track],
        _faults(partners),
        versioning=VersioningBehavior.PINNED,
    )


def _payment_gateway(database: Database, partners: PartnerSettings) -> tuple[PaymentGateway, Callable[[], None]]:
    if partners.payment_provider == "simulated":
        return SimulatedPayments(PaymentBooks(database), partners), lambda: None
    try:
        from workers.gateways.stripe import StripePayments  # noqa: PLC0415 - 13 MB that only those pay who use it
    except ImportError as error:
        raise InvalidSetting("PAYMENT_PROVIDER: stripe needs pip install 'order-lifecycle[stripe]'") from error
    assert partners.stripe_api_key
    stripe = StripePayments(
        partners.stripe_api_key.get_secret_value(), partners.stripe_api_base, partners.stripe_timeout
    )
    return stripe, stripe.close


def _faults(partners: PartnerSettings) -> list[Interceptor]:
    return [Faults(partners)] if partners.faults_error_rate or partners.faults_hang_rate else []


QUEUES: Mapping[str, Callable[[Database, PartnerSettings], Work]] = {
    ORDERS_QUEUE: orders,
    PAYMENTS_QUEUE: payments,
    SHIPPING_QUEUE: shipping,
}
