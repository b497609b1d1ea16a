"""``orders smoke``: whether a deployment does what it is for, by one small order."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated

import typer
from rich.text import Text

from cli.asking import Url, client_of
from cli.client import ApiError, Event, Json, Order, OrdersClient
from cli.terminal import AsJson, out, tell

app = typer.Typer()
NOTE = "smoke test"
REST = 1.0
"""How long, in seconds, one request waits for the order's next events, and an API that isn't ready is left alone."""
ENDED = frozenset({"completed", "cancelled", "rejected", "expired", "failed"})
FORBIDDEN = frozenset({401, 403})


@app.command()
def smoke(
    timeout: Annotated[float, typer.Option(min=1, help="How long it may take to be delivered, in seconds.")] = 120,
    sku: Annotated[str, typer.Option(help="The article to order, one that the shop has.")] = "ABC123",
    payment_method: Annotated[str, typer.Option(help="What to pay with, if the provider takes it.")] = "tok_visa",
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Wait until the API is ready, place a small order and follow it until it is delivered; a failure says why."""
    # Few tries: what does not answer is what one wants to hear of.
    with client_of(url, tries=2) as client:
        sys.exit(SmokeTest(client, as_json, timeout).run(sku, payment_method))


@dataclass
class SmokeTest:
    """Places an order and follows it, for so many seconds in all; what is not delivered by then is cancelled."""

    client: OrdersClient
    as_json: bool
    timeout: float
    _began: float = field(default_factory=time.monotonic)
    _obstacle: str | None = None

    def run(self, sku: str, payment_method: str) -> int:
        """Return the exit code: 0 if the order was delivered.

        Raises:
            ApiError: the order was refused, or the API is not ready.
        """
        self._wait_until_ready()
        order = self.client.place(_order_of(sku, payment_method))
        self._say(f"placed {order['id']}, one {sku}")
        last: Event | None = None
        for last in self.client.follow(order["id"], until=self._is_enough, wait=REST):
            tell(last, self.as_json)
            if last["type"] == "review_started":
                self._approve(order, is_needed=last["data"]["by_person"])
            elif last["type"] == "payment_declined":
                advice = "name one that the provider takes by --payment-method"
                self._obstacle = f"{payment_method} was declined ({last['data']['reason']}): {advice}"
        order = self.client.get(order["id"])
        if order["status"] == "completed":
            return self._end(order, f"delivered after {self._seconds:.1f} s")
        what = f"not delivered, the order is {order['status']}"
        why, advice = self._ended(order, last) if order["status"] in ENDED else self._unfinished(order)
        return self._end(order, f"{what}: {why}", advice)

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _wait_until_ready(self) -> None:
        told = ""
        while True:
            try:
                self.client.check_ready()
            except ApiError as error:
                if self._seconds > self.timeout:
                    raise
                if str(error) != told:
                    told = str(error)
                    self._say(f"not ready: {told}")
                time.sleep(REST)
            else:
                return

    def _is_enough(self, order: Order) -> bool:
        # What waits for its customer waits for a person, and here is none.
        is_stopped = order["status"] in ("payment_failed", "awaiting_customer")
        return is_stopped or self._obstacle is not None or self._seconds > self.timeout

    def _approve(self, order: Order, is_needed: bool) -> None:
        try:
            self.client.review(order["id"], "approve", NOTE)
        except ApiError as error:
            # In this very moment somebody else, or the timer, may have decided.
            if is_needed and error.problem["status"] in FORBIDDEN:
                self._obstacle = f"a person has to approve it, and this token may not: {error}"

    def _ended(self, order: Order, last: Event | None) -> tuple[str, str]:
        reason = last["data"].get("reason") if last else None
        advice = "name an article that the shop has by --sku; `python -m migrations --catalogue` enters the example's"
        return reason or "it says no more", advice if order["status"] == "rejected" else _look_at(order)

    def _unfinished(self, order: Order) -> tuple[str, str]:
        progress = self.client.progress(order["id"])
        errors = {each["last_error"] for each in progress["attempts"] if each["last_error"]}
        why = "; ".join([f"it waits for {progress['waits_for']}", *sorted(errors)])
        idle: set[str] = set()
        # Not every token may ask.
        with suppress(ApiError):
            idle = {queue["queue"] for queue in self.client.stats() if not queue["pollers"]}
        advice = f"start workers of {' and '.join(sorted(idle))}: nobody works there" if idle else _look_at(order)
        return f"{why}; {self._cancelled(order)}", self._obstacle or advice

    def _cancelled(self, order: Order) -> str:
        try:
            order.update(self.client.cancel(order["id"], NOTE))
        except ApiError as error:
            return f"it could not be cancelled ({error})"
        return "it has been cancelled" if order["status"] == "cancelled" else "it has been asked to end"

    def _say(self, what: str) -> None:
        if not self.as_json:
            out.print(Text(what), soft_wrap=True)

    def _end(self, order: Order, what: str, advice: str | None = None) -> int:
        is_delivered = advice is None
        if self.as_json:
            facts = {"id": order["id"], "status": order["status"], "delivered": is_delivered, "detail": what}
            print(json.dumps({**facts, "seconds": round(self._seconds, 1), "next": advice}))
        else:
            out.print(Text(what, style="green" if is_delivered else "red"), soft_wrap=True)
            if advice:
                self._say(f"next: {advice}")
        return 0 if is_delivered else 1


def _look_at(order: Order) -> str:
    return f"look at `orders progress {order['id']}` and `orders stats`"


def _order_of(sku: str, payment_method: str) -> Json:
    return {
        "customer_name": "Smoke Test",
        "customer_email": "smoke@example.com",
        "items": [{"sku": sku, "qty": 1, "price": "1.00"}],
        "shipping_address": {"street": "123 Main St", "city": "Anytown", "state": "CA"},
        "payment_method": payment_method,
    }
