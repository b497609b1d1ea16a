"""The worker processes: ``python -m workers QUEUE…``."""
