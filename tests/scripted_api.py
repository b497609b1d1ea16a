"""An HTTP server that answers as it is told, and keeps what it was asked: for tests of a client."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar


@dataclass(frozen=True)
class Answer:
    """What an HTTP server answers; ``LOST`` cuts the connection instead."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)

    LOST: ClassVar[Answer]


Answer.LOST = Answer(0, None)


@dataclass(frozen=True)
class Asked:
    """What an HTTP server was asked."""

    path: str
    headers: Message
    body: bytes


class ScriptedApi:
    """An HTTP server on the loopback that gives these answers, one after the other."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[Asked] = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                script.requests.append(Asked(self.path, self.headers, body))
                answer = script.answers.pop(0)
                if answer is Answer.LOST:
                    self.close_connection = True
                    return
                content = json.dumps(answer.body).encode()
                self.send_response(answer.status)
                for name, value in {**answer.headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = _answer  # noqa: N815 - the names that the library looks for

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> ScriptedApi:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
