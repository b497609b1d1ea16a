"""The ledger: orders, events, payments and shipments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "orders",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False, comment="seq of the last event"),
        sa.Column("customer_name", sa.Text, nullable=False),
        sa.Column("customer_email", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False, comment="ISO 4217; every amount is in its minor units"),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("lines", JSONB, nullable=False),
        sa.Column("shipping_address", JSONB, nullable=False),
        sa.Column("metadata", JSONB, nullable=False),
        sa.Column("payment_method", sa.Text, nullable=False),
        sa.Column("payment_status", sa.Text, nullable=False),
        sa.Column("captured", sa.BigInteger, nullable=False),
        sa.Column("refunded", sa.BigInteger, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False, comment="of the workflow run that wrote this row"),
        sa.Column("history_length", sa.Integer, nullable=False, comment="of that run when it decided so"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="orders_pkey"),
        sa.CheckConstraint("refunded between 0 and captured", name="orders_money_check"),
    )
    op.create_table(
        "events",
        sa.Column("order_id", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("data", JSONB, nullable=False),
        sa.PrimaryKeyConstraint("order_id", "seq", name="events_pkey"),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="events_order_id_fkey"),
        sa.CheckConstraint("seq > 0", name="events_seq_check"),
    )
    op.create_table(
        "payments",
        sa.Column("key", sa.Text, nullable=False, comment="the idempotency key that the provider gets"),
        sa.Column("order_id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reference", sa.Text),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("key", name="payments_pkey"),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="payments_order_id_fkey"),
        sa.UniqueConstraint("order_id", "number", name="payments_order_id_number_key"),
    )
    op.create_table(
        "shipments",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("order_id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("carrier", sa.Text),
        sa.Column("tracking_number", sa.Text),
        sa.Column("address", JSONB, comment="as printed on the label"),
        sa.PrimaryKeyConstraint("id", name="shipments_pkey"),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="shipments_order_id_fkey"),
        sa.UniqueConstraint("order_id", "number", name="shipments_order_id_number_key"),
    )
