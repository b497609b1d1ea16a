"""The tables, as the migrations leave them; ``tests/integration/test_migrations.py`` holds the two together."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)

orders = Table(
    "orders",
    metadata,
    Column("id", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("version", Integer, nullable=False, comment="seq of the last event"),
    Column("customer_name", Text, nullable=False),
    Column("customer_email", Text, nullable=False),
    Column("currency", Text, nullable=False, comment="ISO 4217; every amount is in its minor units"),
    Column("total", BigInteger, nullable=False),
    Column("lines", JSONB, nullable=False),
    Column("shipping_address", JSONB, nullable=False),
    Column("metadata", JSONB, nullable=False),
    Column("payment_method", Text, nullable=False),
    Column("payment_status", Text, nullable=False),
    Column("authorized", BigInteger, nullable=False),
    Column("captured", BigInteger, nullable=False),
    Column("refunded", BigInteger, nullable=False),
    Column("stock", JSONB, nullable=False, comment="by article: pieces held on the shelf, pieces taken away"),
    Column("stock_before", JSONB, nullable=False, comment="the same before the last write"),
    Column("stuck", JSONB, comment="by axis: why the order does not get on"),
    Column("waiting_until", DateTime(timezone=True)),
    Column("run_id", Text, nullable=False, comment="of the workflow run that wrote this row"),
    Column("history_length", Integer, nullable=False, comment="of that run when it decided so"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("traceparent", Text, comment="the span of the request that placed it (W3C Trace Context)"),
    CheckConstraint("refunded between 0 and captured and captured - refunded <= authorized", name="money"),
)

# One for each way to list orders; read backwards they have the newest first (decision 8).
_BY_TIME = (orders.c.created_at, orders.c.id)
Index("ix_orders_created_at", *_BY_TIME)
Index("ix_orders_status", orders.c.status, *_BY_TIME)
Index("ix_orders_customer_email", func.lower(orders.c.customer_email), *_BY_TIME)
Index("ix_orders_stuck", *_BY_TIME, postgresql_where=orders.c.stuck.is_not(None))

events = Table(
    "events",
    metadata,
    Column("order_id", Text, ForeignKey("orders.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("type", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("actor", Text, nullable=False),
    Column("data", JSONB, nullable=False),
    Column("trace_id", Text),
    CheckConstraint("seq > 0", name="seq"),
)

payments = Table(
    "payments",
    metadata,
    Column("key", Text, primary_key=True, comment="the idempotency key that the provider gets"),
    Column("order_id", Text, ForeignKey("orders.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("method", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reference", Text, index=True),
    Column("error", Text),
    UniqueConstraint("order_id", "number"),
)

shipments = Table(
    "shipments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("order_id", Text, ForeignKey("orders.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("carrier", Text),
    Column("tracking_number", Text),
    Column("address", JSONB, comment="as printed on the label"),
    UniqueConstraint("order_id", "number"),
)

stock = Table(
    "stock",
    metadata,
    Column("sku", Text, primary_key=True),
    Column("on_hand", BigInteger, nullable=False, comment="pieces on the shelf, those held for orders among them"),
    Column("reserved", BigInteger, nullable=False, comment="pieces held for orders"),
    # What makes it impossible to hold more than there is, however many orders ask at once.
    CheckConstraint("reserved between 0 and on_hand", name="no_oversell"),
)
