"""A Stripe to test against: ``localstripe``, a stateful fake that others wrote, behind a proxy that adds what it lacks.

The proxy records each request, keeps answers by their idempotency key, searches by metadata, takes the payment method
at the confirmation, and can lose an answer, keep one waiting, or give another. What it adds is read off Stripe's pages
"Idempotent requests", "Advanced error handling" and "Error codes", not off Stripe itself.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from cli.embedded import free_port
from orders.contracts import Authorization, Authorize, Capture, Refund, Void
from orders.money import Money
from tests.examples import new_id

API_KEY = "sk_test_aSecretThatNobodyMayRead"

# Its own command listens on all interfaces, and writes all it knows to a file in /tmp after each request.
LOCALSTRIPE = """
import sys
from aiohttp import web
from localstripe import resources, server
resources.Store.dump_to_disk = lambda store: None
web.run_app(server.app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""

TOKENS = {"tok_visa": "pm_card_visa", "tok_chargeCustomerFail": "pm_card_chargeCustomerFail"}
UNKNOWN_TO_LOCALSTRIPE = ("automatic_payment_methods[",)
NOT_KEPT = frozenset({401, 403, 409, 429})
"""Stripe keeps an answer once its endpoint has begun to work on the request: these come before that."""

Body = dict[str, Any]


class Asked(NamedTuple):
    """A request that has reached the proxy."""

    method: str
    path: str
    key: str | None
    parameters: dict[str, str]
    agent: str


class Answer(NamedTuple):
    """What is answered; in its stead, if one says so beforehand."""

    status: int
    body: Body | str
    is_repeated: bool = False


class Lost:
    """The request is carried out, and its answer lost."""


class Kept:
    """The request is not answered."""


class Overtaken(NamedTuple):
    """Something else happens just before the request."""

    by: Callable[[], object]


Trouble = Answer | Lost | Kept | Overtaken


def error(status: int, kind: str, message: str, **more: str) -> Answer:
    """An error in the form of Stripe's page "Errors"."""
    return Answer(status, {"error": {"type": kind, "message": message, **more}})


class StripeServer:
    """Both servers, on the loopback; ``url`` is the proxy's."""

    def __init__(self) -> None:
        self._port = free_port()
        self._localstripe = subprocess.Popen(
            [sys.executable, "-c", LOCALSTRIPE, str(self._port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._kept: dict[str, tuple[Asked, Answer | None]] = {}
        self._troubles: list[tuple[re.Pattern[str], Trouble]] = []
        self.asked: list[Asked] = []
        self.headers: list[dict[str, str]] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"stripe": self}))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        self._thread.start()
        self._wait()

    def _wait(self) -> None:
        for _ in range(200):
            if self._localstripe.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        self.stop()
        raise RuntimeError("localstripe did not start")

    def stop(self) -> None:
        self._stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        self._localstripe.terminate()
        self._localstripe.wait(10)

    def forget(self) -> None:
        """Start a test: nothing was asked yet, and no trouble is ahead."""
        self.asked.clear()
        self.headers.clear()
        self._troubles.clear()

    def let_a_day_pass(self) -> None:
        """Forget the keys, as Stripe does after a day."""
        self._kept.clear()

    def next(self, request: str, trouble: Trouble) -> None:
        """Say what befalls the next request whose method and path match."""
        self._troubles.append((re.compile(request), trouble))

    def ask(self, method: str, path: str, **parameters: str) -> Body:
        """Ask localstripe itself."""
        found = self._localstripe_answers(method, path, parameters)
        assert isinstance(found.body, dict), found
        assert found.status == 200, found
        return found.body

    def intents(self, key: str) -> list[Body]:
        """The intents in localstripe's books that were made under one of our keys."""
        listed = self.ask("GET", "/v1/payment_intents?limit=1000000")["data"]
        return [intent for intent in listed if intent["metadata"].get("key") == key]

    def charges(self, key: str) -> list[Body]:
        ids = {intent["id"] for intent in self.intents(key)}
        listed = self.ask("GET", "/v1/charges?limit=1000000")["data"]
        return [charge for charge in listed if charge["payment_intent"] in ids]

    def answer(self, asked: Asked) -> Answer | None:
        """Answer a request that came to the proxy; None cuts the connection."""
        with self._lock:
            self.asked.append(asked)
            trouble = self._take_trouble(asked)
            kept = self._kept.get(asked.key) if asked.key else None
            if asked.key and not kept:
                self._kept[asked.key] = (asked, None)
        if isinstance(trouble, Overtaken):
            trouble.by()
        if kept:
            return self._repeated(asked, *kept)
        if isinstance(trouble, Kept):
            self._stopping.wait(30)
            return None
        found = trouble if isinstance(trouble, Answer) else self._pass_on(asked)
        if asked.key:
            with self._lock:
                if found.status in NOT_KEPT:
                    del self._kept[asked.key]
                else:
                    self._kept[asked.key] = (asked, found)
        return None if isinstance(trouble, Lost) else found

    def _take_trouble(self, asked: Asked) -> Trouble | None:
        for each in self._troubles:
            if each[0].search(f"{asked.method} {asked.path}"):
                self._troubles.remove(each)
                return each[1]
        return None

    @staticmethod
    def _repeated(asked: Asked, first: Asked, answer: Answer | None) -> Answer:
        if asked != first:
            return error(400, "idempotency_error", f"Keys can only be used with the same parameters: {asked.key}")
        if answer is None:
            return error(409, "idempotency_error", "There is another request", code="idempotency_key_in_use")
        return answer._replace(is_repeated=True)

    def _pass_on(self, asked: Asked) -> Answer:
        parameters = {k: v for k, v in asked.parameters.items() if not k.startswith(UNKNOWN_TO_LOCALSTRIPE)}
        if asked.path.startswith("/v1/payment_intents/search"):
            wanted = re.search(r"query=metadata\['key'\]:'((?:[^'\\]|\\.)+)'(&|$)", asked.path)
            assert wanted, asked.path
            found = self.intents(re.sub(r"\\(.)", r"\1", wanted[1]))
            return Answer(200, {"object": "search_result", "data": found, "has_more": False})
        step = re.fullmatch(r"/v1/payment_intents/(\w+)/(confirm|capture|cancel)", asked.path)
        if not step:
            return self._localstripe_answers(asked.method, asked.path, parameters)
        allowed = {
            "confirm": {"requires_payment_method", "requires_confirmation"},
            "capture": {"requires_capture"},
            "cancel": {"requires_payment_method", "requires_confirmation", "requires_capture", "requires_action"},
        }
        status = self.ask("GET", f"/v1/payment_intents/{step[1]}")["status"]
        if status not in allowed[step[2]]:
            return error(
                400,
                "invalid_request_error",
                f"This PaymentIntent could not be changed because it has a status of {status}.",
                code="payment_intent_unexpected_state",
            )
        if step[2] == "confirm":
            return self._confirm(step[1], parameters)
        return self._localstripe_answers(asked.method, asked.path, parameters)

    def _confirm(self, intent: str, parameters: dict[str, str]) -> Answer:
        token = parameters.get("payment_method_data[card][token]", "")
        method = parameters.get("payment_method") or TOKENS.get(token, token)
        self.ask("POST", f"/v1/payment_intents/{intent}", payment_method=method)
        found = self._localstripe_answers("POST", f"/v1/payment_intents/{intent}/confirm", {})
        if found.status == 404:
            self.ask("POST", f"/v1/payment_intents/{intent}", payment_method="")
            message = f"No such PaymentMethod: '{method}'"
            return error(400, "invalid_request_error", message, code="resource_missing", param="payment_method")
        assert isinstance(found.body, dict)
        if found.body.get("status") == "requires_action" and parameters.get("error_on_requires_action") == "true":
            secret = found.body["client_secret"]
            self.ask("POST", f"/v1/payment_intents/{intent}/_authenticate", client_secret=secret, success="false")
            message = "Your card was declined. This transaction requires authentication."
            return error(402, "card_error", message, code="authentication_required")
        return found

    def _localstripe_answers(self, method: str, path: str, parameters: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            headers = {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/x-www-form-urlencoded"}
            connection.request(method, path, urlencode(parameters) if method == "POST" else None, headers)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        try:
            body = json.loads(text)
        except json.JSONDecodeError:
            return Answer(response.status, text)
        return Answer(response.status, _with_what_was_received(body))


def _with_what_was_received(body: Body) -> Body:
    if body.get("object") == "payment_intent":
        body["amount_received"] = body["latest_charge"]["amount"] if body["status"] == "succeeded" else 0
    return body


class _Handler(BaseHTTPRequestHandler):
    stripe: StripeServer

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self._answer(dict(parse_qsl(text)))

    def _answer(self, parameters: dict[str, str]) -> None:
        # As it was sent: the library would forgive a doubled slash.
        split = urlsplit("http://proxy" + self.requestline.split()[1])
        query = "&".join(f"{name}={value}" for name, value in parse_qsl(split.query))
        path = f"{split.path}?{query}" if query else split.path
        agent = self.headers.get("X-Stripe-Client-User-Agent", "")
        asked = Asked(self.command, path, self.headers.get("Idempotency-Key"), parameters, agent)
        self.stripe.headers.append(dict(self.headers))
        found = self.stripe.answer(asked)
        if found is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        content = (found.body if isinstance(found.body, str) else json.dumps(found.body)).encode()
        self.send_response(found.status)
        self.send_header("Request-Id", "req_123")
        if found.is_repeated:
            self.send_header("Idempotent-Replayed", "true")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


USD_99 = Money(9999, "USD")
INVALID = "invalid_request_error"
TOO_SMALL = error(400, INVALID, "Amount must be at least $0.50 usd", code="amount_too_small", param="amount")
OVERTAKEN = error(400, INVALID, "It has a status.", code="payment_intent_unexpected_state")


def authorize_by(method: str = "tok_visa", *, capture: bool = False, amount: Money = USD_99) -> Authorize:
    order_id = new_id()
    return Authorize(f"{order_id}:authorize:1", order_id, amount, method, capture)


def capture_of(request: Authorize) -> Capture:
    return Capture(f"{request.order_id}:capture:1", request)


def void_of(request: Authorize) -> Void:
    return Void(f"{request.order_id}:void:1", request)


def refund_of(request: Authorize, amount: Money | None = None) -> Refund:
    return Refund(f"{request.order_id}:refund:1", request, amount or request.amount)


def posts(server: StripeServer) -> list[tuple[str, str | None]]:
    """Each POST's path, without the id of what it is about, and its key."""
    names = [(asked.path.split("/"), asked.key) for asked in server.asked if asked.method == "POST"]
    return [(f"{path[2]}/{path[4]}" if len(path) > 4 else path[2], key) for path, key in names]


def authorized(answer: Authorization) -> str:
    assert answer.declined is None
    assert answer.reference
    return answer.reference
