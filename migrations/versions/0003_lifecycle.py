"""The whole lifecycle: stock, authorizations, what an order is stuck in or waits for, and the traces of events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None
contracts = "0.0"  # what was there before the first release, nobody's code uses


def upgrade() -> None:
    """Add the table and the columns; orders that are there have held nothing, and hold what they have captured."""
    op.create_table(
        "stock",
        sa.Column("sku", sa.Text, nullable=False),
        sa.Column(
            "on_hand", sa.BigInteger, nullable=False, comment="pieces on the shelf, those held for orders among them"
        ),
        sa.Column("reserved", sa.BigInteger, nullable=False, comment="pieces held for orders"),
        sa.PrimaryKeyConstraint("sku", name="stock_pkey"),
        sa.CheckConstraint("reserved between 0 and on_hand", name="stock_no_oversell_check"),
    )
    op.add_column("events", sa.Column("trace_id", sa.Text))
    op.add_column("orders", sa.Column("authorized", sa.BigInteger, nullable=False, server_default="0"))
    op.execute("update orders set authorized = captured - refunded")
    op.add_column(
        "orders",
        sa.Column(
            "stock",
            JSONB,
            nullable=False,
            server_default="{}",
            comment="by article: pieces held on the shelf, pieces taken away",
        ),
    )
    op.add_column(
        "orders",
        sa.Column("stock_before", JSONB, nullable=False, server_default="{}", comment="the same before the last write"),
    )
    op.add_column("orders", sa.Column("stuck", JSONB, comment="by axis: why the order does not get on"))
    op.add_column("orders", sa.Column("waiting_until", sa.DateTime(timezone=True)))
    for name in ("authorized", "stock", "stock_before"):
        op.alter_column("orders", name, server_default=None)
    op.create_index("ix_payments_reference", "payments", ["reference"])
    op.drop_constraint("orders_money_check", "orders")
    op.create_check_constraint(
        "orders_money_check", "orders", "refunded between 0 and captured and captured - refunded <= authorized"
    )
    op.rename_table("charges", "payments", schema="simulator")
    op.add_column(
        "payments", sa.Column("captured", sa.BigInteger, nullable=False, server_default="0"), schema="simulator"
    )
    op.execute("update simulator.payments set captured = amount where status = 'captured'")
    op.alter_column("payments", "captured", server_default=None, schema="simulator")
    op.alter_column("payments", "status", comment="authorized, captured, declined or void", schema="simulator")
    op.alter_column("payments", "key", comment="of the authorization", schema="simulator")
