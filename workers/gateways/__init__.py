"""The adapters behind ``orders/ports.py``."""
