"""One run: a system under load and under faults, then healed, calm and audited."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from migrations.catalogue import EXAMPLE, read
from orders.ledger.engine import pg8000_url
from tests.faults import temporal
from tests.faults.checker import final_states, moving, violations
from tests.faults.customers import REVIEWED_ABOVE
from tests.faults.injector import JUMPS, Done, Injector, Missed
from tests.faults.schedule import KINDS, Fault, schedule
from tests.faults.system import System
from tests.faults.traffic import Traffic

CALM = 240.0
"""How long, in seconds, orders have for their ends after everything was healed."""
PACE = {
    "REVIEW_THRESHOLD": str(REVIEWED_ABOVE),
    "DISPATCH_RETRY_AFTER": "1",
    "PARTNER_TIMEOUT": "2",
    "PARTNER_RETRY_AFTER": "0.1",
    "PARTNER_RETRY_AT_MOST_AFTER": "2",
    "STUCK_AFTER": "5",
    "PAYMENT_LATENCY": "0.05",
    "WAREHOUSE_LATENCY": "0.05",
    "CARRIER_LATENCY": "0.05",
    "FAULTS_ERROR_RATE": "0.05",
    "FAULTS_HANG_RATE": "0.03",
    "DATABASE_TIMEOUT": "2",
    "DATABASE_POOL_SIZE": "5",
    "API_TIMEOUT": "5",
    "WORKER_GRACEFUL_SHUTDOWN": "1",
}
"""Everybody's patience is short, so that orders end."""
WAITS = {"REVIEW_TIMEOUT": 1.5, "REVIEW_THRESHOLD_TIMEOUT": 8, "CUSTOMER_TIMEOUT": 8, "PAYMENT_TIMEOUT": 10}
"""How long, in seconds, orders wait for people."""
TELEMETRY = {"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
"""Spans of one API process wait to be sent when it is killed, to a port where nobody listens (RFC 863's)."""
PARTNERS = {
    "a partner failed": "failed on demand",
    "a partner hung": "hung on demand",
    "a partner's answer got lost": "answer got lost",
}
"""What simulated partners do all the time, by what the workers' logs then say."""
WRONG = ("TMPRL1100", "Nondeterminism")
"""What no log may say: a workflow that its history does not fit (Temporal's documentation, "TMPRL1100")."""


@dataclass(frozen=True)
class Plan:
    """How much of what: so many orders at so many a second, a fault about every ``gap`` seconds."""

    seed: int
    orders: int
    rate: float
    gap: float
    workers: int = 2
    brevity: float = 1.0
    is_short: bool = False

    def schedule(self, injector: Injector) -> list[Fault]:
        """Give the faults of this plan that the machine allows."""
        without = {kind.name for kind in KINDS if kind.long and self.is_short}
        # What strikes after the last order came would find less and less to strike.
        seconds = self.orders / self.rate
        return schedule(
            self.seed,
            seconds,
            self.gap,
            injector.sorts,
            without=without,
            impossible=injector.impossible,
            brevity=self.brevity,
        )

    def system(self, folder: Path, secret: str) -> System:
        """Make the system that is to bear it."""
        waits = {name: str(seconds * self.brevity) for name, seconds in WAITS.items()}
        settings = PACE | waits | {"CARRIER_TRANSIT": str(self.brevity), "CARRIER_WEBHOOK_SECRETS": secret}
        # One half of the shop takes the money at once, the other one on dispatch.
        settings_of = {"api-1": TELEMETRY, "api-2": {"PAYMENT_CAPTURE": "on_dispatch"}}
        return System(folder, settings=settings, settings_of=settings_of, workers=self.workers)


@dataclass
class Outcome:
    """What has come of a run."""

    plan: Plan
    traffic: Traffic
    faults: Sequence[Done]
    missed: Sequence[Missed]
    left: Sequence[str]
    impossible: Mapping[str, str]
    took: float
    states: Counter[str] = field(default_factory=Counter)
    partners: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


async def run(plan: Plan, folder: Path, say: Callable[[str], None], show: Callable[[str], None]) -> Outcome:
    """Start the system, let orders and faults come, heal it, wait until all is calm, and audit it.

    ``say`` gets lines that stay, ``show`` what is going on.
    """
    start, secret = time.monotonic(), secrets.token_hex(16)
    show("starting everything")
    system = plan.system(folder, secret)
    with system:
        traffic = Traffic(system.api_urls, secret, plan.seed)
        injector = Injector(system, traffic)
        faults = plan.schedule(injector)
        say(f"seed {plan.seed}: {plan.orders} orders, {len(faults)} faults")
        for fault in faults:
            say(str(fault))
        async with asyncio.TaskGroup() as tasks:
            showing = tasks.create_task(_show(show, plan, traffic, injector))
            striking = tasks.create_task(injector.run(faults))
            await traffic.run(plan.orders, plan.rate)
            await striking
            showing.cancel()
        for miss in injector.missed:
            say(f"missed: {miss}")
        show("healing")
        await asyncio.to_thread(system.heal)
        found = await _calm(system, traffic, show)
        took = time.monotonic() - start
        outcome = Outcome(plan, traffic, injector.done, injector.missed, injector.left, injector.impossible, took)
        outcome.states = final_states(system.admin_database_url)
        outcome.partners = _partners(system)
        outcome.violations = [
            *traffic.failures,
            *unaccepted(traffic),
            *never_struck(faults, injector.done),
            *found,
            *_audit(system, traffic, injector),
            *await temporal.violations(system.admin_temporal_address, system.admin_database_url),
            *_wrong_words(system),
        ]
        for order_id in {line.split(":")[0] for line in outcome.violations}:
            for line in _explain(order_id, system, outcome):
                say(line)
    return outcome


def unaccepted(traffic: Traffic) -> list[str]:
    """Say so unless each order that was sent was accepted, as an order of its own."""
    sent, accepted = len(traffic.orders), len(traffic.accepted)
    return [f"{sent} orders were sent, and {accepted} accepted"] if accepted != sent else []


def never_struck(drawn: Sequence[Fault], done: Sequence[Done]) -> list[str]:
    """Name the kinds of faults that were to strike, and never did."""
    missing = {fault.kind for fault in drawn} - {each.fault.kind for each in done}
    return [f"{kind}: it was to strike, and never did" for kind in sorted(missing)]


async def _show(show: Callable[[str], None], plan: Plan, traffic: Traffic, injector: Injector) -> None:
    while True:
        told = f"{len(traffic.orders)} of {plan.orders} orders, {len(traffic.accepted)} accepted, "
        show(told + f"{len(injector.done)} faults, {len(traffic.failures)} failures")
        await asyncio.sleep(0.5)


async def _calm(system: System, traffic: Traffic, show: Callable[[str], None]) -> list[str]:
    """Wait until nothing moves any more, or say what still does."""
    deadline = time.monotonic() + CALM
    while True:
        open_orders = await asyncio.to_thread(_unresting, system, traffic)
        if not open_orders:
            return []
        show(f"{open_orders} orders are still on their way")
        if time.monotonic() > deadline:
            return [f"{open_orders} orders were still on their way {CALM:.0f} s after everything was healed"]
        await asyncio.sleep(0.5)


def _unresting(system: System, traffic: Traffic) -> int:
    with create_engine(pg8000_url(system.admin_database_url), poolclass=NullPool).connect() as connection:
        known = set(connection.execute(text("select id from orders")).scalars())
    return len(moving(system.admin_database_url)) + len(traffic.accepted - known)


def _audit(system: System, traffic: Traffic, injector: Injector) -> list[str]:
    has_wrong_clocks = any("clock" in done.fault.kind for done in injector.done)
    return violations(
        system.admin_database_url,
        traffic.accepted,
        cancelled=traffic.cancelled,
        initial_stock={str(row["sku"]): int(row["on_hand"]) for row in read(EXAMPLE)},
        clock_error=timedelta(seconds=max(map(abs, JUMPS))) if has_wrong_clocks else timedelta(),
    )


def _partners(system: System) -> Counter[str]:
    said = "".join(system.log(name).read_text(errors="replace") for name in system.workers)
    return Counter({fault: said.count(words) for fault, words in PARTNERS.items()})


def _wrong_words(system: System) -> list[str]:
    found = []
    for name in system.workers:
        lines = system.log(name).read_text(errors="replace").splitlines()
        found += [f"{name}: {line[:300]}" for line in lines if any(word in line for word in WRONG)]
    return found


def _explain(order_id: str, system: System, outcome: Outcome) -> list[str]:
    """Tell what happened to an order, and what to the system meanwhile."""
    placed = next((each for each in outcome.traffic.orders if each.order_id == order_id), None)
    if placed is None:
        return []
    with create_engine(pg8000_url(system.admin_database_url), poolclass=NullPool).connect() as connection:
        query = text("select at, seq, type, actor, data from events where order_id = :id order by seq")
        trail = connection.execute(query, {"id": order_id}).all()
    lines = [(row.at, f"event {row.seq}: {row.type} by {row.actor} {row.data}") for row in trail]
    lines += [(each.at, f"answer to {each.kind}: {each.status} after {each.tries} tries") for each in placed.answers]
    if lines:
        first, last = min(at for at, _ in lines), max(at for at, _ in lines)
        lines += [
            (each.began, f"fault: {each.fault}")
            for each in outcome.faults
            if first <= each.ended and each.began <= last
        ]
    began = min((at for at, _ in lines), default=datetime.now(UTC))
    told = [f"{at:%H:%M:%S.%f}  {line}" for at, line in sorted(lines, key=lambda each: each[0])]
    return [f"{order_id} ({placed.customer.story}), from {began:%F %T}:", *told]
