"""The API as the command line sees it: HTTP, nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx2

from orders.model import FINAL

POLL = 0.2
"""How often, in seconds, a followed order is asked for."""
Json = dict[str, Any]


class ApiError(Exception):
    """The API refused, or could not be reached; the text is for people, ``problem`` for programs."""

    def __init__(self, problem: Json) -> None:
        super().__init__(problem["detail"])
        self.problem = problem


class OrdersClient:
    """Places, follows and changes orders.

    Raises:
        ApiError: the URL can't be one.
    """

    def __init__(self, url: str, timeout: float = 30.0) -> None:
        self._url = url.rstrip("/")
        try:
            self._http = httpx2.Client(base_url=self._url, timeout=timeout, trust_env=False)
        except httpx2.InvalidURL as error:
            raise self._unreachable(f"{url} is no URL ({error})") from error

    def __enter__(self) -> OrdersClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def place(self, body: bytes) -> Json:
        """Place an order; the body is sent as it is, so that the API judges it.

        Raises:
            ApiError: it was refused, or the API can't be reached.
        """
        return self._ask("POST", "/orders", content=body, headers={"Content-Type": "application/json"})

    def get(self, order_id: str) -> Json:
        """Look an order up.

        Raises:
            ApiError: there is no such order, or the API can't be reached.
        """
        return self._ask("GET", f"/orders/{_segment(order_id)}")

    def events(self, order_id: str, after: int = 0) -> list[Json]:
        """Read an order's audit trail from behind ``after``.

        Raises:
            ApiError: there is no such order, or the API can't be reached.
        """
        page = self._ask("GET", f"/orders/{_segment(order_id)}/events", expect="data", params={"after": after})
        events: list[Json] = page["data"]
        return events

    def follow(self, order_id: str, until: Callable[[Json], bool] = lambda order: False) -> Iterator[Json]:
        """Yield an order's events as they come, until it is at its end or ``until`` says so.

        Raises:
            ApiError: there is no such order, or the API can't be reached.
        """
        after = 0
        while True:
            # Asked before the events are: an order at its end then gets no further ones.
            order = self.get(order_id)
            for event in self.events(order_id, after):
                after = event["seq"]
                yield event
            if order["status"] in FINAL or until(order):
                return
            time.sleep(POLL)

    def cancel(self, order_id: str, reason: str | None) -> Json:
        """End an order and undo everything.

        Raises:
            ApiError: it was refused, there is no such order, or the API can't be reached.
        """
        return self._ask("POST", f"/orders/{_segment(order_id)}/cancel", json={"reason": reason})

    def change_address(self, order_id: str, address: Json) -> Json:
        """Send an order elsewhere.

        Raises:
            ApiError: it was refused, there is no such order, or the API can't be reached.
        """
        return self._ask("PUT", f"/orders/{_segment(order_id)}/shipping-address", json=address)

    def cancel_payment(self, order_id: str, reason: str | None) -> Json:
        """Take no money, or give it back.

        Raises:
            ApiError: it was refused, there is no such order, or the API can't be reached.
        """
        return self._ask("POST", f"/orders/{_segment(order_id)}/payment/cancel", json={"reason": reason})

    def retry_payment(self, order_id: str, payment_method: str) -> Json:
        """Offer another payment method.

        Raises:
            ApiError: it was refused, there is no such order, or the API can't be reached.
        """
        return self._ask("POST", f"/orders/{_segment(order_id)}/payment/retry", json={"payment_method": payment_method})

    def review(self, order_id: str, decision: str, note: str | None) -> Json:
        """Decide on an order in review: ``approve`` or ``reject``.

        Raises:
            ApiError: it was refused, there is no such order, or the API can't be reached.
        """
        return self._ask("POST", f"/orders/{_segment(order_id)}/review", json={"decision": decision, "note": note})

    def amend(self, order_id: str, quantities: dict[str, int] | None) -> Json:
        """Answer a shortage with new quantities by article, or with None take what there is.

        Raises:
            ApiError: it was refused, there is no such order, or the API can't be reached.
        """
        items = [{"sku": sku, "qty": qty} for sku, qty in (quantities or {}).items()]
        body: Json = {"items": items} if items else {"take_available": True}
        return self._ask("POST", f"/orders/{_segment(order_id)}/amend", json=body)

    def progress(self, order_id: str) -> Json:
        """Ask what an order is doing in this moment.

        Raises:
            ApiError: there is no such order, or the API can't be reached.
        """
        return self._ask("GET", f"/orders/{_segment(order_id)}/progress")

    def _ask(self, method: str, path: str, expect: str = "id", **request: Any) -> Json:
        try:
            answer = self._http.request(method, path, **request)
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            raise self._unreachable(f"nothing answers at {self._url}") from error
        try:
            body = answer.json()
        except ValueError:
            body = None
        if answer.is_error and isinstance(body, dict) and "detail" in body:
            raise ApiError(body)
        if answer.is_error or not isinstance(body, dict) or expect not in body:
            raise self._unreachable(f"what answers at {self._url} is not the API of orders (HTTP {answer.status_code})")
        return body

    def _unreachable(self, detail: str) -> ApiError:
        advice = "start the system with `make up`, or set ORDERS_URL"
        return ApiError({"title": "Unreachable", "status": 0, "detail": f"{detail}: {advice}"})


def _segment(order_id: str) -> str:
    return quote(order_id, safe="")
