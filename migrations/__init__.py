"""The database schema and its history, by Alembic; ``python -m migrations`` brings a database up to date."""
