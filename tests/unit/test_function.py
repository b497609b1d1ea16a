"""An environment of AWS Lambda: one event at a time, within the time that others leave."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

import pytest
from awslambdaric.lambda_context import LambdaContext
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from api.function import Function
from orders.settings import LambdaSettings, load
from orders.telemetry import OFF, Telemetry
from tests.function.events import Asked, Gateway, HttpApi, LoadBalancer


def context(seconds: float = 30) -> Any:
    """What Lambda's runtime says of an invocation that has so much time."""
    return LambdaContext("a-request", None, None, int((time.time() + seconds) * 1000))


@pytest.fixture
def make() -> Iterator[Callable[..., Function]]:
    with ExitStack() as made:

        def function(app: ASGIApp, telemetry: Telemetry = OFF, **settings: str) -> Function:
            loop = made.enter_context(closing(asyncio.new_event_loop()))
            return Function(app, load(LambdaSettings, **settings), loop, telemetry)

        yield function


@dataclass(frozen=True)
class Collector(Telemetry):
    """Takes what is flushed, and so long."""

    takes: float = 0
    bounds: list[float] = field(default_factory=list)

    def flush(self, patience: float = 5) -> bool:
        self.bounds.append(patience)
        return patience >= self.takes


async def until_the_latest(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with how long, in seconds, a request may take."""
    await JSONResponse(scope["state"]["latest"] - time.monotonic())(scope, receive, send)


def left(function: Function, gateway: Gateway = HttpApi(), seconds: float = 900, age: float = 0) -> float:  # noqa: B008
    event = gateway.event(Asked("GET", "/orders"))
    if age:
        event["requestContext"]["timeEpoch"] -= int(1000 * age)
    return float(function(event, context(seconds))["body"])


def test_a_request_is_over_before_the_gateway_gives_up(make: Callable[..., Function]) -> None:
    assert left(make(until_the_latest)) == pytest.approx(27.5, abs=0.6)
    assert left(make(until_the_latest), LoadBalancer(is_multi_value=True)) == pytest.approx(27.5, abs=0.6)
    assert left(make(until_the_latest, LAMBDA_GATEWAY_TIMEOUT="10")) == pytest.approx(8.5, abs=0.6)


def test_a_request_is_over_before_the_functions_own_time_is(make: Callable[..., Function]) -> None:
    assert left(make(until_the_latest), seconds=5) == pytest.approx(3.5, abs=0.6)


def test_the_time_in_which_the_environment_started_is_the_gateways_too(make: Callable[..., Function]) -> None:
    assert left(make(until_the_latest), age=4) == pytest.approx(23.5, abs=0.6)


def test_an_event_of_long_ago_is_one_that_is_tried_out(make: Callable[..., Function]) -> None:
    assert left(make(until_the_latest), age=86400) == pytest.approx(27.5, abs=0.6)


def test_what_is_told_is_sent_before_the_answer_is_given_also_when_there_is_none(make: Callable[..., Function]) -> None:
    collector = Collector()
    function = make(until_the_latest, collector)
    left(function)
    assert collector.bounds == [pytest.approx(1, abs=0.1)]
    with pytest.raises(RuntimeError):
        function({"no": "request"}, context())
    assert collector.bounds == [pytest.approx(1, abs=0.1)] * 2


def test_it_waits_for_that_no_longer_than_the_function_has(make: Callable[..., Function]) -> None:
    collector = Collector()
    left(make(until_the_latest, collector), seconds=0.75)
    assert collector.bounds == [pytest.approx(0.5, abs=0.1)]


def test_a_collector_that_hangs_is_waited_for_now_and_then_only(
    make: Callable[..., Function], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    collector = Collector(takes=10)
    function = make(until_the_latest, collector)
    for _ in range(5):
        left(function)
    assert len(collector.bounds) == 1
    assert [each.levelname for each in caplog.records if "OTEL_EXPORTER_OTLP_ENDPOINT" in each.message] == ["WARNING"]
    later = time.monotonic() + 10**6
    monkeypatch.setattr("api.function.time.monotonic", lambda: later)
    left(function)
    assert len(collector.bounds) == 2


def test_what_was_cancelled_with_an_answer_is_at_its_end_before_the_next_event(make: Callable[..., Function]) -> None:
    ended = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def beside() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.01)
                ended.append(True)

        beginning = asyncio.create_task(beside())
        await asyncio.sleep(0)
        beginning.cancel()
        await JSONResponse({})(scope, receive, send)

    function = make(app)
    function(HttpApi().event(Asked("GET", "/orders")), context())
    assert ended == [True]


@pytest.mark.parametrize(("takes", "is_done"), [(0.05, True), (60.0, False)])
def test_what_goes_on_beside_an_answer_is_waited_for_as_long_as_what_is_told(
    make: Callable[..., Function], takes: float, is_done: bool
) -> None:
    going_on = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        going_on.append(asyncio.create_task(asyncio.sleep(takes)))
        await JSONResponse({})(scope, receive, send)

    function = make(app, LAMBDA_FLUSH_TIMEOUT="0.4")
    begun = time.monotonic()
    for _ in range(2):
        function(HttpApi().event(Asked("GET", "/orders")), context())
    assert going_on[0].done() is is_done
    assert time.monotonic() - begun < 2


def test_what_hangs_is_waited_for_once(make: Callable[..., Function]) -> None:
    hanging: list[asyncio.Task[None]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if not hanging:
            hanging.append(asyncio.create_task(asyncio.sleep(60)))
        await JSONResponse({})(scope, receive, send)

    function = make(app, LAMBDA_FLUSH_TIMEOUT="2")
    begun = time.monotonic()
    for _ in range(5):
        function(HttpApi().event(Asked("GET", "/orders")), context())
    assert 0.9 < time.monotonic() - begun < 2


def test_two_environments_in_one_thread_have_each_their_own_event_loop(make: Callable[..., Function]) -> None:
    loops = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        loops.append(asyncio.get_running_loop())
        await JSONResponse({})(scope, receive, send)

    one, other = make(app), make(app)
    for function in (one, other, one, other):
        function(HttpApi().event(Asked("GET", "/orders")), context())
    assert loops[0] is loops[2] is not loops[1]
    assert loops[1] is loops[3]


def test_an_environment_may_be_asked_by_another_thread_than_made_it(make: Callable[..., Function]) -> None:
    function, found = make(until_the_latest), []
    thread = threading.Thread(target=lambda: found.append(left(function)))
    thread.start()
    thread.join(10)
    assert found == [pytest.approx(27.5, abs=0.6)]


def test_mangum_logs_no_paths(make: Callable[..., Function], caplog: pytest.LogCaptureFixture) -> None:
    from orders.logs import quotes_nobody

    with caplog.at_level(logging.DEBUG):
        left(make(until_the_latest))
    theirs = [record for record in caplog.records if record.name.startswith("mangum")]
    assert theirs
    assert not any(quotes_nobody(record) for record in theirs)
