"""Where in which trace an order was placed, so that what comes later can be linked to it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; PostgreSQL does so without touching the rows."""
    op.add_column(
        "orders",
        sa.Column("traceparent", sa.Text, comment="the span of the request that placed it (W3C Trace Context)"),
    )
