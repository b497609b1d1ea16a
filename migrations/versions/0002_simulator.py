"""The books of the simulated partners, in a schema of their own; a deployment with real partners leaves them empty."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the schema and its tables."""
    op.execute("create schema simulator")
    op.create_table(
        "charges",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False, comment="captured, declined or void"),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("refunded", sa.BigInteger, nullable=False),
        sa.Column("refund_key", sa.Text),
        sa.Column("asked", sa.Integer, nullable=False, comment="how often it was asked for under this key"),
        schema="simulator",
    )
    op.create_table(
        "parcels",
        sa.Column("shipment_id", sa.Text, primary_key=True),
        sa.Column("carrier", sa.Text, nullable=False),
        sa.Column("tracking_number", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False, comment="booked or dispatched"),
        sa.Column("label", JSONB, comment="the address as printed"),
        sa.Column("dispatched_at", sa.DateTime(timezone=True)),
        sa.Column("dispatches", sa.Integer, nullable=False, comment="how many hand-overs were asked for"),
        schema="simulator",
    )
