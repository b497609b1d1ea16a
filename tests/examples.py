"""Orders to test with."""

from __future__ import annotations

import secrets
from typing import Any

from orders.details import Address, OrderDetails, OrderLine

HOME = Address("123 Main St", "Anytown", "CA", "90210")
WORK = Address("1 Market St", "San Francisco", "CA", "94105")
DETAILS = OrderDetails(
    customer_name="John Doe",
    customer_email="john@example.com",
    currency="USD",
    lines=(OrderLine("ABC123", 1, 9999), OrderLine("MUG", 2, 1250)),
    shipping_address=HOME,
)
TOTAL = 12499


def new_id() -> str:
    return f"ord_{secrets.token_hex(12)}"


def body(**changes: Any) -> dict[str, Any]:
    """The order of the README, with changes."""
    return {
        "customer_name": "John Doe",
        "customer_email": "john@example.com",
        "items": [{"sku": "ABC123", "qty": 1, "price": 99.99}],
        "shipping_address": {"street": "123 Main St", "city": "Anytown", "state": "CA"},
        **changes,
    }
