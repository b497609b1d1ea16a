"""``orders demo``: one order, from its placing to its delivery, for people to watch."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from cli import show
from cli.client import Order, OrdersClient

out = Console(highlight=False)


@dataclass(frozen=True)
class Demonstration:
    """Places an order and shows each step of it; ends early once ``stop`` is set."""

    url: str
    as_json: bool
    stop: asyncio.Event

    def run(self, body: bytes) -> int:
        """Return the exit code: 0 if the order was delivered.

        Raises:
            ApiError: the order was refused, or the API can't be reached.
        """
        with OrdersClient(self.url) as client:
            order = client.place(body)
            self._say(Text(f"\nPOST /orders → {order['id']}, {order['total']} {order['currency']}\n"))
            for event in client.follow(order["id"], until=self._is_over, wait=1):
                if self.as_json:
                    print(json.dumps(event), flush=True)
                else:
                    out.print(show.event_line(event))
            order = client.get(order["id"])
            for part in ("", show.order_view(order), "", show.trail(client.events(order["id"]), title="audit trail")):
                self._say(part)
        is_delivered = order["status"] == "completed"
        self._say(Text("\nthe order is ") + show.coloured("delivered" if is_delivered else order["status"]))
        return 0 if is_delivered else 1

    def _is_over(self, order: Order) -> bool:
        # An order that waits for its customer waits for a person, and here is none.
        return self.stop.is_set() or order["status"] in ("payment_failed", "awaiting_customer")

    def _say(self, what: Any) -> None:
        if not self.as_json:
            out.print(what)
