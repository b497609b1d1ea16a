"""``orders demo``: one order, from its placing to its delivery, for people to watch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from cli import show
from cli.client import ApiError, Event, Order, OrdersClient
from cli.terminal import out, tell
from cli.traces import OrderTraces, TracesClient
from cli.waterfall import Waterfall
from cli.waterfall_terminal import WaterfallView

QUIET, PATIENCE = 0.4, 3.0
"""How long, in seconds, no span has come when there are thought to be no more, and how long that may take."""


@dataclass(frozen=True)
class Demonstration:
    """Places an order and shows each step of it; ends early once ``stop`` is set."""

    url: str
    as_json: bool
    stop: asyncio.Event
    traces_url: str | None = None

    def run(self, body: bytes) -> int:
        """Return the exit code: 0 if the order was delivered.

        Raises:
            ApiError: the order was refused, or the API can't be reached.
        """
        with OrdersClient(self.url) as client:
            order = client.place(body)
            self._say(Text(f"\nPOST /orders → {order['id']}, {order['total']} {order['currency']}\n"))
            for event in client.follow(order["id"], until=self._is_over, wait=1):
                tell(event, self.as_json)
            order = client.get(order["id"])
            for part in ("", show.order_view(order), "", show.trail(client.events(order["id"]), title="audit trail")):
                self._say(part)
            if self.traces_url and not self.as_json:
                self._show_traces(TracesClient(self.traces_url), order, client.events(order["id"]))
        is_delivered = order["status"] == "completed"
        self._say(Text("\nthe order is ") + show.coloured("delivered" if is_delivered else order["status"]))
        return 0 if is_delivered else 1

    def _show_traces(self, traces: TracesClient, order: Order, events: list[Event]) -> None:
        self._say(Text("\nwhere its time went\n"))
        try:
            self._say(WaterfallView(Waterfall.of(_settled(lambda: traces.of(order, events)))))
        except ApiError as error:
            # An order without a trace is delivered all the same.
            self._say(Text(str(error), style="yellow"))

    def _is_over(self, order: Order) -> bool:
        # An order that waits for its customer waits for a person, and here is none.
        return self.stop.is_set() or order["status"] in ("payment_failed", "awaiting_customer")

    def _say(self, what: Any) -> None:
        if not self.as_json:
            out.print(what, soft_wrap=isinstance(what, WaterfallView))


def _settled(look: Callable[[], OrderTraces]) -> OrderTraces:
    """Look until no more spans come: a process sends them a moment after they have ended."""
    deadline, before = time.monotonic() + PATIENCE, 0
    while True:
        time.sleep(QUIET)
        is_late = time.monotonic() > deadline
        try:
            found = look()
        except ApiError:
            if is_late:
                raise
            continue
        count = sum(len(spans) for spans in found.spans.values())
        if is_late or count == before:
            return found
        before = count
