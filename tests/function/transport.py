"""The API's second door: a client's requests become events, which functions answer in this process.

As Lambda has it, an environment answers one event at a time; as many are made as are needed at once. Each has a thread,
an event loop and an application of its own, over the same servers.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
from awslambdaric.lambda_context import LambdaContext
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from api.function import Function
from orders.settings import LambdaSettings, load
from orders.telemetry import OFF, Telemetry
from tests.function.answers import Answer
from tests.function.events import Asked, Gateway, HttpApi
from tests.function.runtime_api import ARN, TIMEOUT

_MARSHALLER = LambdaMarshaller()
_BUILDING = threading.Lock()
"""FastAPI puts its routes together with the first request, by pydantic, which bears that in one thread at a time."""


class Environment:
    """A function with a thread of its own."""

    def __init__(self, make: Callable[[], FastAPI], settings: LambdaSettings, telemetry: Telemetry) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="environment")
        self._made = self._thread.submit(self._make, make, settings, telemetry)

    async def answer(self, event: dict[str, Any], timeout: float) -> Any:
        """What the function returns within so many seconds, on its way through the runtime."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, event, timeout)

    def _make(self, make: Callable[[], FastAPI], settings: LambdaSettings, telemetry: Telemetry) -> Function:
        function = Function(make(), settings, self._loop, telemetry)
        with _BUILDING:
            function(HttpApi().event(Asked("GET", "/healthz")), _context(TIMEOUT))
        return function

    def _answer(self, event: dict[str, Any], timeout: float) -> Any:
        # Both ways all is JSON.
        returned = self._made.result()(_MARSHALLER.unmarshal_request(json.dumps(event)), _context(timeout))
        return json.loads(_MARSHALLER.marshal_response(returned)[0])

    def close(self) -> None:
        """End it: nothing may have outlived the answers, but that the issuer's keys are asked for anew."""
        self._thread.shutdown()
        left = [task for task in asyncio.all_tasks(self._loop) if "IssuerKeys" not in repr(task.get_coro())]
        self._loop.close()
        assert not left, f"still at work: {left}"


def _context(timeout: float) -> LambdaContext:
    return LambdaContext(str(uuid.uuid4()), None, None, int((time.time() + timeout) * 1000), ARN)


class Environments(httpx2.AsyncBaseTransport):
    """What a client reaches the functions through: one gateway, or several in turn."""

    def __init__(
        self,
        make: Callable[[], FastAPI],
        through: Sequence[Gateway],
        telemetry: Telemetry = OFF,
        base_path: str = "",
    ) -> None:
        self._make, self._through, self._telemetry = make, through, telemetry
        self._settings = load(LambdaSettings, LAMBDA_BASE_PATH=base_path)
        self._all: list[Environment] = []
        self._idle: list[Environment] = []
        self._turn, self._test = 0, ""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return response_of(await self.ask(await asked_of(request)), request.method)

    async def ask(self, asked: Asked) -> Answer:
        """Have an idle environment, or a new one, answer a request."""
        gateway = self._next(asked)
        if not self._idle:
            self._idle.append(Environment(self._make, self._settings, self._telemetry))
            self._all += self._idle
        environment = self._idle.pop()
        work = asyncio.ensure_future(environment.answer(gateway.event(asked), TIMEOUT))
        # Who goes away ends nothing: the environment is busy until its answer is there.
        work.add_done_callback(lambda _: self._idle.append(environment))
        returned = await asyncio.shield(work)
        return at_own_paths(gateway.answer(returned, asked), "" if self._settings.base_path else gateway.prefix)

    async def aclose(self) -> None:
        for environment in self._all:
            await asyncio.to_thread(environment.close)

    def _next(self, asked: Asked) -> Gateway:
        """The gateway whose turn it is, of those that such a request gets through; a test has always the same."""
        test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" (")[0]
        if test != self._test:
            self._test, self._turn = test, zlib.crc32(test.encode())
        self._turn += 1
        able = [gateway for gateway in self._through if gateway.carries(asked)]
        assert able, f"{asked.method} {asked.path} gets through none of {self._through}"
        return able[self._turn % len(able)]


class Front:
    """The same as an application: for clients that need a server."""

    def __init__(self, environments: Environments) -> None:
        self._environments = environments

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = tuple((_text(name), _text(value)) for name, value in scope["headers"])
        query = scope["query_string"].decode()
        answer = await self._environments.ask(Asked(scope["method"], scope["raw_path"].decode(), query, headers, body))
        raw = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})


async def asked_of(request: httpx2.Request) -> Asked:
    """A client's request as a gateway takes it."""
    path, _, query = request.url.raw_path.decode().partition("?")
    headers = tuple((_text(name), _text(value)) for name, value in request.headers.raw)
    return Asked(request.method, path, query, headers, await request.aread())


def response_of(answer: Answer, method: str) -> httpx2.Response:
    """What a gateway says as a client takes it."""
    return httpx2.Response(answer.status, headers=answer.headers, content=b"" if method == "HEAD" else answer.body)


def at_own_paths(answer: Answer, prefix: str) -> Answer:
    """Take off the paths in an answer what the gateway's addresses begin with: the client's don't."""
    if not prefix:
        return answer

    def own(name: str, value: str) -> str:
        if name.lower() == "location":
            assert value.startswith(f"{prefix}/"), f"{value} is not an address behind this gateway"
            return value.removeprefix(prefix)
        if name.lower() == "link":
            assert len(re.findall(f"<{prefix}/", value)) == value.count("<"), f"{value} leads past the gateway"
            return value.replace(f"<{prefix}/", "</")
        return value

    return answer._replace(headers=[(name, own(name, value)) for name, value in answer.headers])


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
