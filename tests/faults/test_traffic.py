"""What the clients of a run take as an answer, and what as a failure."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.faults.customers import Customer, Message
from tests.faults.traffic import Placed, Traffic

MESSAGE = Message(0, "shipped", "cancel", "key", {})
RIGHT = {"POST /orders": 201, "GET /orders/ord_1": 200, "POST /orders/ord_1/cancel": 200}


@contextmanager
def shop(statuses: Mapping[str, int]) -> Iterator[str]:
    """An API that answers each request with the status that it is to give; gives its URL."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def do_GET(self) -> None:
            body = json.dumps({"id": "ord_1", "status": "shipped", "stuck": None}).encode()
            self.send_response(statuses[f"{self.command} {self.path}"])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        serving = Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


@pytest.mark.parametrize("status", [400, 404, 409, 422, 500])
async def test_an_order_that_is_not_accepted_is_a_failure(status: int) -> None:
    with shop({"POST /orders": status}) as url:
        traffic = Traffic([url], "secret", seed=1)
        await traffic.run(1, rate=100)
    assert traffic.accepted == set()
    assert [line.split(": ")[1:3] for line in traffic.failures] == [["place", f'{status} {{"id"'}]


@pytest.mark.parametrize(
    ("request_", "status", "expected"),
    [
        ("POST /orders/ord_1/cancel", 409, []),
        ("POST /orders/ord_1/cancel", 404, ["ord_1: cancel: 404"]),
        ("POST /orders/ord_1/cancel", 422, ["ord_1: cancel: 422"]),
        ("POST /orders/ord_1/cancel", 500, ["ord_1: cancel: 500"]),
        ("GET /orders/ord_1", 404, ["ord_1: look: 404"]),
        ("GET /orders/ord_1", 500, ["ord_1: look: 500"]),
        ("GET /orders/ord_1", 503, []),
    ],
)
async def test_of_an_order_that_was_accepted_only_what_may_be_is_right(
    request_: str, status: int, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.faults.traffic.FAR", 0.01)
    monkeypatch.setattr("tests.faults.traffic.LOOK_AGAIN", 0.01)
    customer = Customer("plain", "key", {}, [MESSAGE])
    with shop(RIGHT | {request_: status}) as url:
        traffic = Traffic([url], "secret", seed=1)
        await traffic.serve(Placed(customer))
    assert [line.split(" {")[0] for line in traffic.failures[:1]] == expected
