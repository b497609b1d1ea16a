"""Alembic's entry: runs the migrations on the engine that ``migrations.__main__`` hands over."""

from __future__ import annotations

from alembic import context

engine = context.config.attributes["engine"]
# A migration is all or nothing, so it leaves the ledger's autocommit aside.
with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
