"""The Runtime API of AWS Lambda, by which a runtime asks for events and answers them, for one environment.

As it is documented ("Using the Lambda runtime API" in AWS's manual, version 2018-06-01); what the runtime gets wrong is
refused as there.
"""

from __future__ import annotations

import json
import queue
import secrets
import threading
import time
import uuid
from concurrent.futures import Future
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

VERSION = "/2018-06-01/runtime"
ARN = "arn:aws:lambda:eu-central-1:123456789012:function:orders-api"
TIMEOUT = 29.0
"""How long, in seconds, an invocation may take unless it is told otherwise."""


class Failed(Exception):
    """A runtime has told that its function, or the start of it, has failed; ``said`` is what it told of that."""

    def __init__(self, said: dict[str, Any]) -> None:
        super().__init__(f"{said.get('errorType')}: {said.get('errorMessage')}")
        self.said = said


@dataclass(frozen=True)
class Invocation:
    """An event on its way; ``deadline`` is a time of the wall clock."""

    event: Any
    deadline: float
    trace_id: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    answer: Future[Any] = field(default_factory=Future)


def new_trace_header(sampled: bool = True) -> str:
    """What AWS X-Ray calls a tracing header: a root that begins now, and a parent within it."""
    root = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    return f"Root={root};Parent={secrets.token_hex(8)};Sampled={int(sampled)}"


class RuntimeApi:
    """The server that one environment's runtime talks to, on the loopback."""

    def __init__(self) -> None:
        self.is_idle = threading.Event()
        """Set while the runtime waits for an event: then, and only then, Lambda freezes an environment."""
        self.failed_inits: list[dict[str, Any]] = []
        self.answered: list[tuple[str, float]] = []
        """The ids of all that was answered, each with the time of the monotonic clock."""
        self._waiting: queue.Queue[Invocation | None] = queue.Queue()
        self._under_way: dict[str, Invocation] = {}
        handler = type("Handler", (_Handler,), {"api": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def begin(self, event: Any, deadline: float = TIMEOUT, trace_id: str | None = None) -> Invocation:
        """Give the runtime an event, to be answered within so many seconds."""
        begun = Invocation(event, time.time() + deadline, trace_id or new_trace_header())
        self._waiting.put(begun)
        return begun

    def next(self) -> Invocation | None:
        """Wait for an event; None if there will be none any more."""
        self.is_idle.set()
        invocation = self._waiting.get()
        self.is_idle.clear()
        if invocation:
            self._under_way[invocation.id] = invocation
        return invocation

    def end(self, invocation_id: str, answer: Any, error: dict[str, Any] | None = None) -> bool:
        """Hand on the answer to an event, or why there is none; say whether it was waited for."""
        invocation = self._under_way.pop(invocation_id, None)
        if invocation is None:
            return False
        self.answered.append((invocation_id, time.monotonic()))
        if error is None:
            invocation.answer.set_result(answer)
        else:
            invocation.answer.set_exception(Failed(error))
        return True

    def stop(self) -> None:
        """Nothing listens there any more."""
        self._waiting.put(None)
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body are two writes.
    disable_nagle_algorithm = True
    api: RuntimeApi

    def do_GET(self) -> None:
        if self.path != f"{VERSION}/invocation/next":
            self._say(404)
            return
        invocation = self.api.next()
        if invocation is None:
            self.close_connection = True
            return
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(int(invocation.deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": ARN,
            "Lambda-Runtime-Trace-Id": invocation.trace_id,
        }
        self._say(200, json.dumps(invocation.event).encode(), headers)

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "null")
        if self.path == f"{VERSION}/init/error":
            self.api.failed_inits.append(sent)
            self._say(202)
            return
        _, _, rest = self.path.partition(f"{VERSION}/invocation/")
        invocation_id, _, what = rest.partition("/")
        if what == "response":
            is_known = self.api.end(invocation_id, sent)
        elif what == "error":
            is_known = self.api.end(invocation_id, None, sent or {})
        else:
            is_known = False
        self._say(202 if is_known else 400)

    def _say(self, status: int, body: bytes = b"{}", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Write nothing."""
