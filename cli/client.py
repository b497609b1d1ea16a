"""The API as its callers see it: HTTP, and nothing else of this product.

Each request that changes something carries an ``Idempotency-Key``, so that it can be sent again after an answer that
was lost or said "not now": it is done once.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, TypedDict, Unpack, cast
from urllib.parse import quote

import httpx2

PAGE = 1000
"""How many events one answer has at most."""
WAIT = 20.0
"""How long, in seconds, one request waits for an order's next events."""
AGAIN = frozenset({502, 503, 504})
"""The answers that mean "not now"; the first is a gateway's (RFC 9110, section 15.6)."""
FIRST_REST, LONGEST_REST = 0.2, 5.0
Json = dict[str, Any]


class Address(TypedDict):
    """A postal address."""

    street: str
    city: str
    state: str | None
    postal_code: str | None
    country: str


class Item(TypedDict):
    """So many pieces of one article."""

    sku: str
    qty: int
    price: str


class Payment(TypedDict):
    """The money of an order."""

    status: str
    amount: str
    authorized: str
    captured: str
    refunded: str


class Shipment(TypedDict):
    """A parcel."""

    id: str
    status: str
    carrier: str | None
    tracking_number: str | None


class Order(TypedDict):
    """An order as it stands; amounts are decimal strings."""

    id: str
    status: str
    version: int
    customer_name: str
    customer_email: str
    items: list[Item]
    currency: str
    total: str
    shipping_address: Address
    payment_method: str
    payment: Payment
    shipments: list[Shipment]
    stuck: str | None
    metadata: dict[str, str]
    created_at: str
    updated_at: str


class Event(TypedDict):
    """One line of an order's audit trail."""

    seq: int
    type: str
    at: str
    actor: str
    data: Json
    trace_id: str | None


class Attempt(TypedDict):
    """A step that is being tried."""

    step: str
    attempt: int
    is_running: bool
    last_error: str | None
    next_at: str | None


class Progress(TypedDict):
    """What an order is doing in this moment."""

    id: str
    status: str
    step: str
    waits_for: str | None
    until: str | None
    stuck: str | None
    attempts: list[Attempt]
    source: str


class Queue(TypedDict):
    """What waits on a task queue, and who works on it."""

    queue: str
    kind: str
    backlog: int
    oldest_seconds: float
    added_per_second: float
    dispatched_per_second: float
    pollers: int
    polled_at: str | None


class Filters(TypedDict, total=False):
    """Which orders a list has; see ``GET /orders``."""

    status: str | Sequence[str] | None
    customer_email: str | None
    created_after: str | None
    created_before: str | None
    stuck: bool | None


class Terms(TypedDict, total=False):
    """On which terms something is changed: ``key`` names the request, ``if_version`` is the one it is meant for."""

    key: str | None
    if_version: int | None


class ApiError(Exception):
    """The API refused, or could not be reached; the text is for people, ``problem`` for programs (RFC 9457)."""

    def __init__(self, problem: Json) -> None:
        super().__init__(problem["detail"])
        self.problem = problem


class OrdersClient:
    """Places, finds, follows and changes orders.

    ``token`` is sent as a bearer token. A request is sent up to ``tries`` times, with rests that grow, for as long as
    the API can't be reached or answers 502, 503 or 504. Every method raises:

    Raises:
        ApiError: the API refused, or could not be reached.
    """

    def __init__(self, url: str, token: str | None = None, timeout: float = 30.0, tries: int = 4) -> None:
        self._url = url.rstrip("/")
        self._tries, self._timeout = tries, timeout
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            self._http = httpx2.Client(base_url=self._url, timeout=timeout, trust_env=False, headers=headers)
        except httpx2.InvalidURL as error:
            raise self._unreachable(f"{url} is no URL ({error})") from error

    def __enter__(self) -> OrdersClient:
        """Close the connections in the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self._http.close()

    # Orders

    def place(self, order: bytes | Mapping[str, Any], key: str | None = None) -> Order:
        """Place an order; bytes are sent as they are, so that the API judges them."""
        sent: Json = {"content": order} if isinstance(order, bytes) else {"json": order}
        return cast("Order", self._change("POST", "/orders", sent, key))

    def get(self, order_id: str) -> Order:
        """Look an order up."""
        return cast("Order", self._ask("GET", _path(order_id)))

    def find(self, most: int | None = None, **filters: Unpack[Filters]) -> Iterator[Order]:
        """Yield orders, newest first, page by page: all, or ``most`` of them.

        Times are ISO 8601 with their zone.
        """
        asked: Json = {name: value for name, value in filters.items() if value is not None}
        left = most
        while left is None or left > 0:
            limit = {"limit": min(left or 200, 200)}
            page = self._ask("GET", "/orders", expect="data", params={**asked, **limit})
            yield from cast("list[Order]", page["data"])
            left = None if left is None else left - len(page["data"])
            if page["next"] is None:
                return
            asked["cursor"] = page["next"]

    # Following one

    def events(self, order_id: str, after: int = 0, wait: float = 0) -> list[Event]:
        """Read an order's audit trail from behind ``after``, waiting so many seconds for something to be there."""
        found, following = self._events(order_id, after, wait)
        while following is not None and following - after >= len(found) >= PAGE:
            page, following = self._events(order_id, following, 0)
            found += page
            if len(page) < PAGE:
                break
        return found

    def follow(
        self, order_id: str, until: Callable[[Order], bool] | None = None, wait: float = WAIT, after: int = 0
    ) -> Iterator[Event]:
        """Yield an order's events behind ``after`` as they come, until it is at its end or ``until`` says so of it."""
        following: int | None = after
        while following is not None:
            # Asked before the events are, which then lead at least to where the order was.
            is_enough = until is not None and until(self.get(order_id))
            events, following = self._events(order_id, following, wait)
            yield from events
            if is_enough:
                return

    def progress(self, order_id: str) -> Progress:
        """Ask what an order is doing in this moment."""
        return cast("Progress", self._ask("GET", f"{_path(order_id)}/progress"))

    # Changing one. With ``if_version`` it is changed only if it is at that version.

    def cancel(self, order_id: str, reason: str | None = None, **terms: Unpack[Terms]) -> Order:
        """End an order and undo everything."""
        return self._tell(order_id, "cancel", {"reason": reason}, **terms)

    def review(
        self, order_id: str, decision: Literal["approve", "reject"], note: str | None = None, **terms: Unpack[Terms]
    ) -> Order:
        """Decide on an order in review."""
        return self._tell(order_id, "review", {"decision": decision, "note": note}, **terms)

    def amend(self, order_id: str, quantities: Mapping[str, int] | None = None, **terms: Unpack[Terms]) -> Order:
        """Answer a shortage with new quantities by article, or with None take what there is."""
        items = [{"sku": sku, "qty": qty} for sku, qty in (quantities or {}).items()]
        return self._tell(order_id, "amend", {"items": items} if items else {"take_available": True}, **terms)

    def change_address(self, order_id: str, address: Mapping[str, Any], **terms: Unpack[Terms]) -> Order:
        """Send an order elsewhere."""
        return self._tell(order_id, "shipping-address", dict(address), method="PUT", **terms)

    def cancel_payment(self, order_id: str, reason: str | None = None, **terms: Unpack[Terms]) -> Order:
        """Take no money, or give it back."""
        return self._tell(order_id, "payment/cancel", {"reason": reason}, **terms)

    def retry_payment(self, order_id: str, payment_method: str, **terms: Unpack[Terms]) -> Order:
        """Offer another payment method."""
        return self._tell(order_id, "payment/retry", {"payment_method": payment_method}, **terms)

    # The system

    def check_ready(self) -> None:
        """Ask once whether the API can serve: it raises what it waits for."""
        self._ask("GET", "/readyz", expect="status", tries=1)

    def stats(self) -> list[Queue]:
        """Ask what waits on each task queue, and who works on it."""
        return cast("list[Queue]", self._ask("GET", "/stats", expect="queues")["queues"])

    # How it does these things

    def _tell(
        self,
        order_id: str,
        what: str,
        body: Json,
        method: str = "POST",
        **terms: Unpack[Terms],
    ) -> Order:
        version = terms.get("if_version")
        sent: Json = {"json": body, "headers": {} if version is None else {"If-Match": f'"{version}"'}}
        return cast("Order", self._change(method, f"{_path(order_id)}/{what}", sent, terms.get("key")))

    def _change(self, method: str, path: str, sent: Json, key: str | None) -> Json:
        headers = {"Content-Type": "application/json", "Idempotency-Key": secrets.token_hex(16) if key is None else key}
        return self._ask(method, path, **{**sent, "headers": {**headers, **sent.get("headers", {})}})

    def _events(self, order_id: str, after: int, wait: float) -> tuple[list[Event], int | None]:
        # The answer may take so long, and a little more.
        patience = max(self._timeout, wait + 5)
        asked = {"after": after, "wait": wait}
        page = self._ask("GET", f"{_path(order_id)}/events", expect="data", params=asked, timeout=patience)
        return page["data"], None if page["next"] is None else int(page["next"])

    def _ask(self, method: str, path: str, expect: str = "id", tries: int | None = None, **request: Any) -> Json:
        tries = tries or self._tries
        for tried in range(1, tries + 1):
            rest = min(FIRST_REST * 2 ** (tried - 1), LONGEST_REST)
            try:
                answer = self._http.request(method, path, **request)
            except (UnicodeEncodeError, httpx2.LocalProtocolError) as error:
                detail = "a key, or a token, has printable ASCII characters only"
                raise ApiError({"title": "Not possible", "status": 0, "detail": detail}) from error
            except (httpx2.RequestError, httpx2.InvalidURL) as error:
                if tried == tries or isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol):
                    raise self._unreachable(f"nothing answers at {self._url}") from error
            else:
                if tried == tries or answer.status_code not in AGAIN:
                    return self._understood(answer, expect)
                rest = _rest_of(answer) or rest
            # Not all at the same moment.
            time.sleep(rest * (0.5 + secrets.randbelow(1000) / 1000))
        raise AssertionError("the last try returns or raises")

    def _understood(self, answer: httpx2.Response, expect: str) -> Json:
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


def _path(order_id: str) -> str:
    return f"/orders/{quote(order_id, safe='')}"


def _rest_of(answer: httpx2.Response) -> float | None:
    asked = answer.headers.get("Retry-After", "")
    return min(float(asked), LONGEST_REST) if asked.isascii() and asked.isdigit() else None
