"""A small Secrets Manager: what its ``GetSecretValue`` answers, and refuses, over JSON 1.1 (AWS' API reference)."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from orders import aws

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:orders-AbCdEf"


class SecretsManager:
    """Knows secrets by their ARNs, keeps a list of what it was asked for, and can be told to fail."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.secrets: dict[str, str] = {}
        self.asked: list[str] = []
        self.refusals: list[str] = []
        """The types of the errors with which it answers the next questions."""
        self.takes: float = 0
        """How many seconds an answer takes."""

    def put(self, arn: str = ARN, **values: Any) -> None:
        self.secrets[arn] = json.dumps(values)

    def answer(self, arn: str) -> tuple[int, dict[str, Any]]:
        self.asked.append(arn)
        time.sleep(self.takes)
        if self.refusals:
            # What AWS says to it names who asks.
            return 400, {"__type": self.refusals.pop(0), "message": "User: arn:aws:sts::123456789012:somebody"}
        if arn not in self.secrets:
            return 400, {"__type": "ResourceNotFoundException", "message": "can't find the specified secret."}
        return 200, {"ARN": arn, "Name": "orders", "VersionId": "1", "SecretString": self.secrets[arn]}


@contextmanager
def served(manager: SecretsManager) -> Iterator[str]:
    """Listen on the loopback; gives the URL for ``AWS_ENDPOINT_URL_SECRETS_MANAGER``."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["X-Amz-Target"] == "secretsmanager.GetSecretValue"
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = manager.answer(asked["SecretId"])
            body = json.dumps(answer).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                # Nobody waits for it any more.
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def forget_clients() -> None:
    """Begin anew, as a process does that has another environment."""
    aws._session.cache_clear()
    aws._secrets.cache_clear()
