"""Indexes for the lists of orders, built while orders are written.

An index can't be built concurrently in a transaction, so what a failed try has left is dropped first.
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_orders_created_at": "(created_at, id)",
    "ix_orders_status": "(status, created_at, id)",
    "ix_orders_customer_email": "(lower(customer_email), created_at, id)",
    "ix_orders_stuck": "(created_at, id) where stuck is not null",
}


def upgrade() -> None:
    """Create the indexes."""
    with op.get_context().autocommit_block():
        # On its way here Alembic asks for the isolation level, for which pg8000 has begun a transaction.
        op.execute("commit")
        # Who waits to build an index concurrently keeps nobody from writing.
        op.execute("set lock_timeout = 0")
        for name, definition in INDEXES.items():
            op.execute(f"drop index concurrently if exists {name}")
            op.execute(f"create index concurrently {name} on orders {definition}")
        # The statistics of an expression, which the planner goes by, come with the first analysis.
        op.execute("analyze orders")
        op.execute("reset lock_timeout")
